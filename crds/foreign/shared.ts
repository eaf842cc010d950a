import type { JsonSchema } from "../schema/types.ts";
import { type Definitions, readOutline } from "../outline.ts";

/** Types of the Gateway API and of its inference extension that our own kinds and the foreign ones share. */
const OUTLINES: readonly (readonly [name: string, outline: string])[] = [
  [
    "BackendReference",
    `
  group="": string
  kind=Service: string
  name!: string
  namespace: string
  port: int min=1 max=65535`,
  ],
  [
    "HeaderValue",
    `
  name!: string
  value!: string`,
  ],
  [
    "PathModifier",
    `
  replaceFullPath: string
  replacePrefixMatch: string
  type!: string enum=ReplaceFullPath|ReplacePrefixMatch`,
  ],
  [
    "HTTPRouteFilter",
    `
  cors: object
    allowCredentials: bool
    allowHeaders: set[string]
    allowMethods: set[string] enum=GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|*
    allowOrigins: set[string]
    exposeHeaders: set[string]
    maxAge=5: int min=1
  extensionRef: object
    group!: string
    kind!: string
    name!: string
  externalAuth: object
    backendRef!: @BackendReference
    forwardBody: object
      maxSize: int
    grpc: object
      allowedHeaders: set[string]
    http: object
      allowedHeaders: set[string]
      allowedResponseHeaders: set[string]
      path: string
    protocol!: string enum=HTTP|GRPC
  requestHeaderModifier: object
    add: []@HeaderValue keys=name
    remove: set[string]
    set: []@HeaderValue keys=name
  requestMirror: object
    backendRef!: @BackendReference
    fraction: object
      denominator=100: int min=1
      numerator!: int min=0
    percent: int min=0 max=100
  requestRedirect: object
    hostname: string
    path: @PathModifier
    port: int min=1 max=65535
    scheme: string enum=http|https
    statusCode=302: int enum=301|302|303|307|308
  responseHeaderModifier: object
    add: []@HeaderValue keys=name
    remove: set[string]
    set: []@HeaderValue keys=name
  type!: string enum=RequestHeaderModifier|ResponseHeaderModifier|RequestMirror|RequestRedirect|URLRewrite|ExtensionRef|CORS
  urlRewrite: object
    hostname: string
    path: @PathModifier`,
  ],
  [
    "HTTPRouteSpec",
    `
  hostnames: []string
  parentRefs: []object
    group=gateway.networking.k8s.io: string
    kind=Gateway: string
    name!: string
    namespace: string
    port: int min=1 max=65535
    sectionName: string
  rules: []object
    backendRefs: []object
      filters: []@HTTPRouteFilter
      group="": string
      kind=Service: string
      name!: string
      namespace: string
      port: int min=1 max=65535
      weight=1: int min=0 max=1000000
    filters: []@HTTPRouteFilter
    matches: []object
      headers: []object keys=name
        name!: string
        type=Exact: string enum=Exact|RegularExpression
        value!: string
      method: string enum=GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH
      path={"type":"PathPrefix","value":"/"}: object
        type=PathPrefix: string enum=Exact|PathPrefix|RegularExpression
        value=/: string
      queryParams: []object keys=name
        name!: string
        type=Exact: string enum=Exact|RegularExpression
        value!: string
    name: string
    retry: object
      attempts: int
      backoff: string
      codes: []int min=400 max=599
    sessionPersistence: object
      absoluteTimeout: string
      cookieConfig: object
        lifetimeType=Session: string enum=Permanent|Session
      idleTimeout: string
      sessionName: string
      type=Cookie: string enum=Cookie|Header
    timeouts: object
      backendRequest: string
      request: string
  useDefaultGateways: string enum=All|None`,
  ],
  [
    "InferencePoolSpec",
    `
  appProtocol=http: string enum=http|kubernetes.io/h2c
  endpointPickerRef!: object
    failureMode=FailClose: string enum=FailOpen|FailClose
    group="": string
    kind=Service: string
    name!: string
    port: object
      number!: int min=1 max=65535
  selector!: object
    matchLabels!: map[string]
  targetPorts!: []object
    number!: int min=1 max=65535`,
  ],
  [
    "InferencePoolSpecV1Alpha2",
    `
  extensionRef: object
    failureMode!: string enum=FailOpen|FailClose
    group: string
    kind: string
    name!: string
    portNumber: int min=1 max=65535
  selector!: map[string]
  targetPortNumber!: int`,
  ],
];

function readAll(): Definitions {
  const definitions: Record<string, JsonSchema> = {};
  for (const [name, outline] of OUTLINES) definitions[name] = readOutline(outline, definitions);
  return definitions;
}

/** Schemas of HTTPRouteSpec, InferencePoolSpec and their parts, by name. */
export const GATEWAY_DEFINITIONS: Definitions = readAll();
