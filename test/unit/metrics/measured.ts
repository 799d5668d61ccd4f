// A request as the meter knows it, for tests.
import type { MeasuredRequest, RequestMeter } from "../../../src/metrics/meter.ts";

type Given = Pick<MeasuredRequest, "id" | "target" | "startedMs" | "calledMs">;

/** Tells the meter of a GET that has begun. */
export function begun(meter: RequestMeter, given: Given): MeasuredRequest {
  const request: MeasuredRequest = {
    ...given,
    method: "GET",
    script: "/srv/app.ts",
    status: 200,
    failure: undefined,
    bytesIn: 0,
    bytesOut: 0,
    queuedMs: 0,
    earlier: undefined,
    later: undefined,
  };
  meter.began(request);
  return request;
}
