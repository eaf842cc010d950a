const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;
// What a host may hold unescaped, by RFC 3986 and by what Go takes beyond it.
const HOST = /^[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"\u0080-\u{10ffff}%]*$/u;
const USER = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;

const CONTROL = /[\p{Cc}--[\x80-\x9f]]/v;

/** A percent sign that two hexadecimal digits do not follow. */
const badEscape = (text: string): string | undefined => /%(?![0-9A-Fa-f]{2})/.exec(text)?.[0];

function authorityProblem(authority: string): string | undefined {
  const at = authority.lastIndexOf("@");
  const [user, host] = [authority.slice(0, Math.max(at, 0)), authority.slice(at + 1)];
  if (!USER.test(user)) return "the user before @ has a character that must be escaped";
  const closed = host.startsWith("[") ? host.lastIndexOf("]") : undefined;
  if (closed === -1) return "the host lacks its closing bracket";
  const port = closed === undefined ? /:[^:]*$/.exec(host)?.[0] : host.slice(closed + 1);
  if (port !== undefined && !/^(:\d*)?$/.test(port)) return `${JSON.stringify(port)} after the host is no port`;
  // Of escapes, a host takes those of characters beyond ASCII, and that of the percent sign.
  if (!HOST.test(host) || /%(?!25|[89A-Fa-f][0-9A-Fa-f])/.test(host))
    return "the host has a character that no host has";
  return undefined;
}

/**
 * Why a text is no URL to Go's `net/url`, by which KServe reads model URIs; undefined where it is one. It takes nearly
 * everything: relative references and the empty text too.
 */
export function urlProblem(text: string): string | undefined {
  const [before = "", fragment = ""] = text.split(/#(.*)/s);
  if (CONTROL.test(before)) return "it has a control character";
  if (before.startsWith(":")) return "the scheme before the colon is missing";
  const scheme = SCHEME.exec(before)?.[0] ?? "";
  const rest = before.slice(scheme.length).split("?", 1)[0] ?? "";
  const fragmentEscape = badEscape(fragment);
  if (fragmentEscape !== undefined) return "a % must be followed by two hexadecimal digits";
  if (!rest.startsWith("/")) {
    if (scheme !== "") return undefined;
    if ((rest.split("/", 1)[0] ?? "").includes(":")) return "what stands before the first colon is no scheme";
  }
  if (badEscape(rest) !== undefined) return "a % must be followed by two hexadecimal digits";
  const hasAuthority = rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"));
  return hasAuthority ? authorityProblem(rest.slice(2).split("/", 1)[0] ?? "") : undefined;
}
