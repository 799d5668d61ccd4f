import { conform } from "./conform.ts";
import { proxyFcgi } from "./ways.ts";

conform("proxy_fcgi", proxyFcgi, [
  /AH01071: Got error '(?:row|tsgi): /u,
  /AH01071: Got error 'l+/u,
  // The rows in which a broken answer must look broken.
  /AH01067: Failed to read FastCGI header/u,
  /AH01075: Error dispatching request to/u,
]);
