// Which directives an .htaccess may hold: the module of each, and the class of AllowOverride that it needs.
// Rules: httpd 2.4 and mod_fcgid 2.3.9, as their sources say it. A name that is in no list is judged by nobody but Apache.

import type { ReadDirective } from "./directive-text.ts";
import type { Override } from "./setup.ts";

type OverrideClass = "fileinfo" | "authconfig" | "indexes" | "limit" | "options" | "any" | "never";

interface Known {
  readonly name: string;
  readonly module: string;
  readonly overrideClass: OverrideClass;
}

const lists: readonly (readonly [module: string, overrideClass: OverrideClass, names: string])[] = [
  ["core", "options", "Options"],
  [
    "core",
    "any",
    "Files FilesMatch If ElseIf Else IfModule IfDefine IfVersion IfFile IfDirective IfSection Limit LimitExcept",
  ],
  ["core", "any", "LimitRequestBody LimitXMLRequestBody RLimitCPU RLimitMEM RLimitNPROC ServerSignature Error Warning"],
  ["core", "fileinfo", "AcceptPathInfo AddDefaultCharset CGIMapExtension CGIVar DefaultType EnableMMAP EnableSendfile"],
  ["core", "fileinfo", "ErrorDocument FileETag ForceType QualifyRedirectURL ScriptInterpreterSource SetHandler"],
  ["core", "fileinfo", "SetInputFilter SetOutputFilter"],
  ["core", "authconfig", "CGIPassAuth"],
  ["core", "options", "ContentDigest"],
  [
    "core",
    "never",
    "AccessFileName AllowEncodedSlashes AllowOverride AllowOverrideList Directory DirectoryMatch DocumentRoot",
  ],
  ["core", "never", "Location LocationMatch VirtualHost Listen ServerName ServerAlias ServerRoot ServerAdmin ErrorLog"],
  ["core", "never", "ErrorLogFormat LogLevel User Group Timeout KeepAlive KeepAliveTimeout MaxKeepAliveRequests"],
  [
    "core",
    "never",
    "MaxRequestWorkers LimitRequestFields LimitRequestFieldSize LimitRequestLine LimitInternalRecursion",
  ],
  [
    "core",
    "never",
    "MergeSlashes TraceEnable ServerTokens HostnameLookups UseCanonicalName Protocols Mutex Define PidFile",
  ],
  ["so", "never", "LoadModule LoadFile"],
  ["mime", "fileinfo", "AddCharset AddEncoding AddHandler AddInputFilter AddLanguage AddOutputFilter AddType"],
  ["mime", "fileinfo", "DefaultLanguage ModMimeUsePathInfo MultiviewsMatch RemoveCharset RemoveEncoding RemoveHandler"],
  ["mime", "fileinfo", "RemoveInputFilter RemoveLanguage RemoveOutputFilter RemoveType"],
  ["mime", "never", "TypesConfig"],
  ["actions", "fileinfo", "Action"],
  ["actions", "never", "Script"],
  ["env", "fileinfo", "PassEnv SetEnv UnsetEnv"],
  ["setenvif", "fileinfo", "BrowserMatch BrowserMatchNoCase SetEnvIf SetEnvIfNoCase SetEnvIfExpr"],
  ["rewrite", "fileinfo", "RewriteBase RewriteCond RewriteEngine RewriteOptions RewriteRule"],
  ["rewrite", "never", "RewriteMap RewriteLog RewriteLogLevel RewriteLock"],
  ["alias", "fileinfo", "Redirect RedirectMatch RedirectPermanent RedirectTemp"],
  ["alias", "never", "Alias AliasMatch ScriptAlias ScriptAliasMatch"],
  ["headers", "fileinfo", "Header RequestHeader"],
  ["filter", "fileinfo", "AddOutputFilterByType"],
  ["filter", "options", "FilterChain FilterDeclare FilterProtocol FilterProvider"],
  ["include", "options", "SSIErrorMsg SSITimeFormat SSIUndefinedEcho XBitHack SSILegacyExprParser"],
  ["speling", "options", "CheckCaseOnly CheckSpelling"],
  ["dir", "indexes", "DirectoryIndex DirectoryIndexRedirect DirectorySlash FallbackResource DirectoryCheckHandler"],
  [
    "autoindex",
    "indexes",
    "AddAlt AddAltByEncoding AddAltByType AddDescription AddIcon AddIconByEncoding AddIconByType",
  ],
  ["autoindex", "indexes", "DefaultIcon HeaderName IndexHeadInsert IndexIgnore IndexIgnoreReset IndexOptions"],
  ["autoindex", "indexes", "IndexOrderDefault IndexStyleSheet ReadmeName"],
  ["expires", "indexes", "ExpiresActive ExpiresByType ExpiresDefault"],
  ["authz_core", "authconfig", "AuthMerging AuthzSendForbiddenOnFailure Require RequireAll RequireAny RequireNone"],
  ["authz_core", "never", "AuthzProviderAlias"],
  ["authn_core", "authconfig", "AuthName AuthType"],
  ["auth_basic", "authconfig", "AuthBasicAuthoritative AuthBasicFake AuthBasicProvider AuthBasicUseDigestAlgorithm"],
  ["authn_file", "authconfig", "AuthUserFile"],
  ["authz_groupfile", "authconfig", "AuthGroupFile"],
  ["authnz_fcgi", "fileinfo", "AuthnzFcgiCheckAuthnProvider"],
  ["authnz_fcgi", "never", "AuthnzFcgiDefineProvider"],
  ["access_compat", "limit", "Allow Deny Order"],
  ["access_compat", "authconfig", "Satisfy"],
  ["allowmethods", "never", "AllowMethods"],
  [
    "ssl",
    "authconfig",
    "SSLOptions SSLRequire SSLRequireSSL SSLUserName SSLVerifyClient SSLVerifyDepth SSLCipherSuite",
  ],
  ["ssl", "never", "SSLEngine SSLCertificateFile SSLCertificateKeyFile SSLProtocol"],
  ["cgid", "any", "CGIDScriptTimeout"],
  ["cgid", "never", "ScriptSock"],
  ["cgi", "any", "CGIScriptTimeout"],
  ["fcgid", "fileinfo", "FcgidWrapper FcgidAccessChecker FcgidAccessCheckerAuthoritative FcgidAuthenticator"],
  ["fcgid", "fileinfo", "FcgidAuthenticatorAuthoritative FcgidAuthorizer FcgidAuthorizerAuthoritative"],
  [
    "fcgid",
    "never",
    "FcgidBusyScanInterval FcgidBusyTimeout FcgidCmdOptions FcgidConnectTimeout FcgidErrorScanInterval",
  ],
  [
    "fcgid",
    "never",
    "FcgidFixPathinfo FcgidIdleScanInterval FcgidIdleTimeout FcgidInitialEnv FcgidIOTimeout FcgidIPCDir",
  ],
  ["fcgid", "never", "FcgidMaxProcesses FcgidMaxProcessesPerClass FcgidMaxRequestInMem FcgidMaxRequestLen"],
  ["fcgid", "never", "FcgidMaxRequestsPerProcess FcgidMinProcessesPerClass FcgidOutputBufferSize FcgidPassHeader"],
  ["fcgid", "never", "FcgidPHPFixPathinfoEnable FcgidProcessLifeTime FcgidProcessTableFile FcgidSpawnScore"],
  [
    "fcgid",
    "never",
    "FcgidSpawnScoreUpLimit FcgidTerminationScore FcgidTimeScore FcgidWin32PreventOrphans FcgidZombieScanInterval",
  ],
  ["proxy_fcgi", "fileinfo", "ProxyFCGIBackendType ProxyFCGISetEnvIf"],
  ["proxy", "never", "BalancerMember Proxy ProxyMatch ProxyPass ProxyPassMatch ProxyPassReverse ProxyPreserveHost"],
  ["proxy", "never", "ProxyRequests ProxySet ProxyTimeout ProxyErrorOverride ProxyIOBufferSize"],
  ["suexec", "never", "SuexecUserGroup"],
  ["userdir", "never", "UserDir"],
  ["log_config", "never", "CustomLog LogFormat TransferLog"],
];

const known: ReadonlyMap<string, Known> = new Map(
  lists.flatMap(([module, overrideClass, names]) =>
    names.split(" ").map((name): [string, Known] => [name.toLowerCase(), { name, module, overrideClass }]),
  ),
);

export const htaccessNames: readonly string[] = [...known.values()]
  .filter(({ overrideClass }) => overrideClass !== "never")
  .map(({ name }) => name);

export function knownDirective(name: string): Known | undefined {
  return known.get(name.toLowerCase());
}

/** "forbidden": Apache answers 500 for the folder. "ignored": it is skipped (AllowOverride Nonfatal). */
export function canOverride({ name, args }: ReadDirective, override: Override): "allowed" | "forbidden" | "ignored" {
  const directive = knownDirective(name);
  if (directive === undefined) return "allowed";
  const { overrideClass } = directive;
  if (overrideClass === "never") return "forbidden";
  if (overrideClass === "any" || override.list.has(name.toLowerCase())) return "allowed";
  const { classes, options } = override;
  const isIn = classes.has("all") || classes.has(overrideClass);
  const isFree = overrideClass !== "options" || options === undefined || name.toLowerCase() !== "options";
  if (isIn && (isFree || args.every((arg) => options.has(arg.replace(/^[+-]/, "").toLowerCase())))) return "allowed";
  return classes.has("nonfatal") ? "ignored" : "forbidden";
}
