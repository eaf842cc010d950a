import type { JsonSchema } from "../schema/types.ts";
import { type Definitions, readOutline } from "../outline.ts";

const DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const DNS_SUBDOMAIN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

const text = (minLength: number, maxLength: number, pattern?: string): JsonSchema => ({
  type: "string",
  ...(minLength === 0 ? {} : { minLength }),
  maxLength,
  ...(pattern === undefined ? {} : { pattern }),
});

/** Texts with a form of their own (Gateway API, RFC 1123, RFC 9110), by name. */
const TEXTS: Definitions = {
  Group: text(0, 253, `^$|${DNS_SUBDOMAIN}`),
  Kind: text(1, 63, "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"),
  Name: text(1, 253),
  Namespace: text(1, 63, DNS_LABEL),
  Subdomain: text(1, 253, DNS_SUBDOMAIN),
  Hostname: text(1, 253, `^(\\*\\.)?${DNS_SUBDOMAIN.slice(1)}`),
  HeaderName: text(1, 256, "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$"),
  HeaderText: text(1, 4096),
  Origin: text(
    1,
    253,
    "(^\\*$)|(^(http(s)?):\\/\\/(((\\*\\.)?([a-zA-Z0-9\\-]+\\.)*[a-zA-Z0-9-]+|\\*)(:([0-9]{1,5}))?)$)",
  ),
  Path: text(0, 1024),
  PlainPath: text(0, 1024, "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"),
  Duration: { type: "string", pattern: "^([0-9]{1,5}(h|m|s|ms)){1,4}$" },
  LabelValue: text(0, 63, "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"),
  ShortText: text(0, 63),
  MethodOrAny: {
    type: "string",
    enum: ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"],
  },
  ErrorCode: { type: "integer", minimum: 400, maximum: 599 },
};

/** Rules of a field that goes with one value of `type`. */
const goesWith = (field: string, type: string, by = "type"): string =>
  `? has(self.${field}) == (self.${by} == '${type}') :: ${field} goes with ${by} ${type}: set both or neither`;

/** Types of the Gateway API and of its inference extension that our own kinds and the foreign ones share. */
const OUTLINES: readonly (readonly [name: string, outline: string])[] = [
  [
    "BackendReference",
    `
  ? has(self.port) || (has(self.group) && self.group != '') || (has(self.kind) && self.kind != 'Service') :: a Service is referred to with its port
  group="": @Group  # API group of the backend; empty for Services.
  kind=Service: @Kind  # Kind of the backend.
  name!: @Name  # Name of the backend.
  namespace: @Namespace  # Namespace of the backend; the route's own when absent. Another one needs a ReferenceGrant there.
  port: int min=1 max=65535  # Port of the Service, not of its pods.`,
  ],
  [
    "HeaderValue",
    `
  name!: @HeaderName  # Name of the header; case does not count.
  value!: @HeaderText  # Value of the header.`,
  ],
  [
    "HeaderModifier",
    `
  add: []@HeaderValue keys=name max=16  # Headers to add; a value is appended to those that are there.
  remove: set[string] max=16  # Names of headers to remove.
  set: []@HeaderValue keys=name max=16  # Headers to set; they replace those that are there.`,
  ],
  [
    "PathModifier",
    `
  ${goesWith("replaceFullPath", "ReplaceFullPath")}
  ${goesWith("replacePrefixMatch", "ReplacePrefixMatch")}
  replaceFullPath: @Path  # Path instead of the whole one.
  replacePrefixMatch: @Path  # Path instead of the prefix that the match names.
  type!: string enum=ReplaceFullPath|ReplacePrefixMatch  # Which part of the path is replaced.`,
  ],
  [
    "HTTPRouteFilter",
    `
  ${goesWith("cors", "CORS")}
  ${goesWith("requestHeaderModifier", "RequestHeaderModifier")}
  ${goesWith("responseHeaderModifier", "ResponseHeaderModifier")}
  ${goesWith("requestMirror", "RequestMirror")}
  ${goesWith("requestRedirect", "RequestRedirect")}
  ${goesWith("urlRewrite", "URLRewrite")}
  ${goesWith("extensionRef", "ExtensionRef")}
  cors: object  # Answers of the gateway to cross-origin requests.
    allowCredentials: bool  # Whether browsers may send credentials.
    allowHeaders: set[@HeaderName] max=64  # Request headers that are allowed; * for all.
      ?[] !('*' in self) || size(self) == 1 :: * already allows every header: name no others
    allowMethods: set[@MethodOrAny] max=9  # Methods that are allowed; * for all.
      ?[] !('*' in self) || size(self) == 1 :: * already allows every method: name no others
    allowOrigins: set[@Origin] max=64  # Origins that are allowed, such as https://example.com; * for all.
      ?[] !('*' in self) || size(self) == 1 :: * already allows every origin: name no others
    exposeHeaders: set[@HeaderName] max=64  # Response headers that scripts may read.
    maxAge=5: int min=1  # Seconds for which a browser may keep the answer.
  extensionRef: object  # A filter of the gateway implementation.
    group!: @Group  # API group of the filter.
    kind!: @Kind  # Kind of the filter.
    name!: @Name  # Name of the filter, in the route's namespace.
  externalAuth: object  # A service that is asked whether a request may pass.
    ${goesWith("grpc", "GRPC", "protocol")}
    ${goesWith("http", "HTTP", "protocol")}
    backendRef!: @BackendReference  # The service that is asked.
    forwardBody: object  # Sends the request's body along.
      maxSize: integer  # Bytes of the body that are sent at most; 0 for none.
    grpc: object  # Settings of protocol GRPC, Envoy's ext_authz.
      allowedHeaders: set[string] max=64  # Request headers that are sent along, beside the fixed ones.
    http: object  # Settings of protocol HTTP.
      allowedHeaders: set[string] max=64  # Request headers that are sent along, beside the fixed ones.
      allowedResponseHeaders: set[string] max=64  # Headers of the answer that are copied into the request.
      path: @PlainPath  # Prefix of the path that is asked for.
    protocol!: string enum=HTTP|GRPC  # How the service is asked.
  requestHeaderModifier: @HeaderModifier  # Changes of the request's headers.
  requestMirror: object  # Sends a copy of requests to another backend, whose answers are dropped.
    ? !has(self.percent) || !has(self.fraction) :: percent and fraction exclude each other
    backendRef!: @BackendReference  # The backend that gets the copies.
    fraction: object  # Share of requests that are copied, as a fraction.
      ? self.numerator <= (has(self.denominator) ? self.denominator : 100) :: numerator must not exceed denominator
      denominator=100: int min=1  # The lower number.
      numerator!: int min=0  # The upper number.
    percent: int min=0 max=100  # Share of requests that are copied, in percent.
  requestRedirect: object  # Answers with a redirect.
    hostname: @Subdomain  # Host of the new location; that of the request when absent.
    path: @PathModifier  # Path of the new location.
    port: int min=1 max=65535  # Port of the new location.
    scheme: string enum=http|https  # Scheme of the new location.
    statusCode=302: integer enum=301|302|303|307|308  # Status of the answer.
  responseHeaderModifier: @HeaderModifier  # Changes of the response's headers.
  type!: string enum=RequestHeaderModifier|ResponseHeaderModifier|RequestMirror|RequestRedirect|URLRewrite|ExtensionRef|CORS  # What the filter does; the field of that name configures it.
  urlRewrite: object  # Changes host and path before the request goes to a backend.
    hostname: @Subdomain  # Host instead of the request's.
    path: @PathModifier  # Path instead of the request's.`,
  ],
  [
    "HTTPRouteFilters",
    `
  filters: []@HTTPRouteFilter max=16  # What happens to requests on their way.
    ?[] ['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite'].all(t, self.filter(f, f.type == t).size() <= 1) :: a filter of this type may be there only once
    ?[] !self.exists(f, f.type == 'RequestRedirect') || !self.exists(f, f.type == 'URLRewrite') :: RequestRedirect and URLRewrite exclude each other`,
  ],
  [
    "HTTPRouteSpec",
    `
  hostnames: []@Hostname max=16  # Hosts that the route is for; all of the Gateway's when absent.
  parentRefs: []object max=32  # Gateways that the route is attached to.
    group=gateway.networking.k8s.io: @Group  # API group of the parent.
    kind=Gateway: @Kind  # Kind of the parent.
    name!: @Name  # Name of the parent.
    namespace: @Namespace  # Namespace of the parent; the route's own when absent.
    port: int min=1 max=65535  # Port of the listeners; all when absent.
    sectionName: @Subdomain  # Name of one listener; all when absent.
  rules=[{"matches":[{"path":{"type":"PathPrefix","value":"/"}}]}]: []object min=1 max=16  # What is done with which requests.
    ?[] self.map(r, has(r.matches) ? size(r.matches) : 0).sum() <= 128 :: all rules together may have 128 matches at most
    ? !has(self.backendRefs) || size(self.backendRefs) == 0 || !has(self.filters) || !self.filters.exists(f, f.type == 'RequestRedirect') :: a redirect answers by itself: remove backendRefs, or the RequestRedirect filter
    ? !has(self.matches) || (size(self.matches) == 1 && (!has(self.matches[0].path) || !has(self.matches[0].path.type) || self.matches[0].path.type == 'PathPrefix')) || !has(self.filters) || !self.filters.exists(f, (has(f.requestRedirect) && has(f.requestRedirect.path) && has(f.requestRedirect.path.replacePrefixMatch)) || (has(f.urlRewrite) && has(f.urlRewrite.path) && has(f.urlRewrite.path.replacePrefixMatch))) :: replacePrefixMatch needs exactly one match, of type PathPrefix
    ? !has(self.matches) || (size(self.matches) == 1 && (!has(self.matches[0].path) || !has(self.matches[0].path.type) || self.matches[0].path.type == 'PathPrefix')) || !has(self.backendRefs) || !self.backendRefs.exists(b, has(b.filters) && b.filters.exists(f, (has(f.requestRedirect) && has(f.requestRedirect.path) && has(f.requestRedirect.path.replacePrefixMatch)) || (has(f.urlRewrite) && has(f.urlRewrite.path) && has(f.urlRewrite.path.replacePrefixMatch)))) :: replacePrefixMatch in a backend's filter needs exactly one match, of type PathPrefix
    backendRefs: []object max=16  # Where requests go, by weight.
      ? has(self.port) || (has(self.group) && self.group != '') || (has(self.kind) && self.kind != 'Service') :: a Service is referred to with its port
      filters: @HTTPRouteFilterList  # What happens to requests for this backend alone.
      group="": @Group  # API group of the backend; empty for Services.
      kind=Service: @Kind  # Kind of the backend, such as Service or InferencePool.
      name!: @Name  # Name of the backend.
      namespace: @Namespace  # Namespace of the backend; the route's own when absent. Another one needs a ReferenceGrant there.
      port: int min=1 max=65535  # Port of the backend.
      weight=1: int min=0 max=1000000  # Share of requests, relative to the other backends'.
    filters: @HTTPRouteFilterList  # What happens to all requests of the rule.
    matches=[{"path":{"type":"PathPrefix","value":"/"}}]: []object max=64  # Requests that the rule is for; one of the matches is enough.
      headers: []object keys=name max=16  # Headers that a request must have.
        name!: @HeaderName  # Name of the header; case does not count.
        type=Exact: string enum=Exact|RegularExpression  # How the value is compared.
        value!: @HeaderText  # Value of the header.
      method: string enum=GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH  # Method that a request must have.
      path={"type":"PathPrefix","value":"/"}: object  # Path that a request must have.
        ? !has(self.value) || (has(self.type) && self.type == 'RegularExpression') || self.value.matches("^/([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*$") :: value must be a path that starts with / and has no characters that need escaping
        ? !has(self.value) || (has(self.type) && self.type == 'RegularExpression') || !(self.value.contains('//') || self.value.contains('/./') || self.value.contains('/../') || self.value.contains('%2f') || self.value.contains('%2F') || self.value.endsWith('/..') || self.value.endsWith('/.')) :: value must be normalized: without //, /./, /../ and escaped slashes
        type=PathPrefix: string enum=Exact|PathPrefix|RegularExpression  # How the path is compared.
        value=/: @Path  # The path.
      queryParams: []object keys=name max=16  # Query parameters that a request must have.
        name!: @HeaderName  # Name of the parameter.
        type=Exact: string enum=Exact|RegularExpression  # How the value is compared.
        value!: string min=1 max=1024  # Value of the parameter.
    name: @Subdomain  # Name of the rule, unique in the route.
    retry: object  # When a failed request is sent again.
      attempts: integer  # How often a request is sent again at most.
      backoff: @Duration  # Least time between two attempts.
      codes: []@ErrorCode  # Statuses of a response after which the request is sent again.
    sessionPersistence: object  # Keeps the requests of a session on one backend.
      ? !has(self.cookieConfig) || !has(self.cookieConfig.lifetimeType) || self.cookieConfig.lifetimeType != 'Permanent' || has(self.absoluteTimeout) :: a permanent cookie needs absoluteTimeout
      ? !has(self.cookieConfig) || !has(self.type) || self.type == 'Cookie' :: cookieConfig goes with type Cookie
      absoluteTimeout: @Duration  # A session ends this long after its start.
      cookieConfig: object  # Settings of type Cookie.
        lifetimeType=Session: string enum=Permanent|Session  # Whether the cookie outlives the browser.
      idleTimeout: @Duration  # A session ends when it was not used for this long.
      sessionName: string max=128  # Name of the session, which the cookie or header carries.
      type=Cookie: string enum=Cookie|Header  # What carries the session.
    timeouts: object  # How long a request may take.
      ? !has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request) :: backendRequest must not exceed request
      backendRequest: @Duration  # For one attempt at a backend; 0s for no limit.
      request: @Duration  # From the request to the end of the response, with all attempts; 0s for no limit.
  useDefaultGateways: string enum=All|None  # Whether the route is attached to the cluster's default Gateways too.`,
  ],
  [
    "InferencePoolSpec",
    `
  appProtocol=http: string enum=http|kubernetes.io/h2c  # Protocol that the pods speak.
  endpointPickerRef!: object  # The endpoint picker that chooses a pod for every request.
    ? !has(self.name) || has(self.port) || (has(self.kind) && self.kind != 'Service') :: a Service is referred to with its port
    failureMode=FailClose: string enum=FailOpen|FailClose  # What happens to requests while the picker does not answer: any pod (FailOpen), or an error.
    group="": @Group  # API group of the picker; empty for Services.
    kind=Service: @Kind  # Kind of the picker.
    name!: @Name  # Name of the picker, in the pool's namespace.
    port: object  # Port of the picker's Service.
      number!: int min=1 max=65535  # Number of the port, 9002 by convention.
  selector!: object  # The pods of the pool.
    matchLabels!: map[@LabelValue] min=1 max=64  # Labels that a pod must have.
  targetPorts!: []object min=1 max=8  # Ports of the pods that requests go to; each is an endpoint of its own.
    ?[] self.all(a, self.exists_one(b, a.number == b.number)) :: a port must be there only once
    number!: int min=1 max=65535  # Number of the port.`,
  ],
  [
    "InferencePoolSpecV1Alpha2",
    `
  extensionRef: object  # The endpoint picker that chooses a pod for every request.
    failureMode!: string enum=FailOpen|FailClose  # What happens to requests while the picker does not answer: any pod (FailOpen), or an error.
    group: @Group  # API group of the picker; empty for Services.
    kind: @Kind  # Kind of the picker.
    name!: @Name  # Name of the picker, in the pool's namespace.
    portNumber: int min=1 max=65535  # Port of the picker's Service, 9002 by convention.
  selector!: map[@ShortText]  # Labels that a pod must have to be in the pool.
  targetPortNumber!: int  # Port of the pods that requests go to.`,
  ],
];

function readAll(): Definitions {
  const definitions: Record<string, JsonSchema> = { ...TEXTS };
  for (const [name, outline] of OUTLINES) {
    definitions[name] = readOutline(outline, definitions);
    if (name === "HTTPRouteFilters") definitions["HTTPRouteFilterList"] = definitions[name].properties!["filters"]!;
  }
  return definitions;
}

/** Schemas of HTTPRouteSpec, InferencePoolSpec, their parts and texts of a form, by name. */
export const GATEWAY_DEFINITIONS: Definitions = readAll();
