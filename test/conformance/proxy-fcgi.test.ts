import { conform } from "./conform.ts";
import { proxyFcgi, proxyFcgiLog } from "./ways.ts";

conform("proxy_fcgi", proxyFcgi, proxyFcgiLog);
