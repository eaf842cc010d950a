import { bool, choice, durationMs, integer, object, text } from "../../framework/parameters.ts";

/** Where a page of an endpoint is read. */
export const httpSource = (defaults: { scheme: "http" | "https"; path: string; port: number; skip: boolean }) =>
  ({
    scheme: choice({ doc: "Scheme.", default: defaults.scheme, of: ["http", "https"] }),
    path: text({ doc: "Path.", default: defaults.path }),
    port: integer({ doc: "Port; 0: the endpoint's own.", default: defaults.port, min: 0, max: 65_535 }),
    insecureSkipVerify: bool({ doc: "Whether any certificate is accepted.", default: defaults.skip }),
    interval: durationMs({ doc: "Pause between readings.", default: undefined, above: 0 }),
  }) as const;

/** A page of metrics, with certificates. */
export const metricsSource = (defaults: Parameters<typeof httpSource>[0]) =>
  object({
    ...httpSource(defaults),
    caCertPath: text({ doc: "Certificates that are trusted.", default: "" }),
    clientCertPath: text({ doc: "Own certificate.", default: "" }),
    clientKeyPath: text({ doc: "Its key.", default: "" }),
    bearerTokenFile: text({ doc: "File of a token that is sent along; followed.", default: "" }),
  });
