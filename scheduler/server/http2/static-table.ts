/** Static table of HPACK (RFC 7541 appendix A): `name`, or `name: value`, by index from 1. */
const ENTRIES = `:authority
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset
accept-encoding: gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

/** A header field. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** The table; index 0 is not used. */
export const STATIC_TABLE: readonly HeaderField[] = ["", ...ENTRIES.split("\n")].map((line) => {
  const colon = line.indexOf(": ");
  return colon < 0 ? { name: line, value: "" } : { name: line.slice(0, colon), value: line.slice(colon + 2) };
});
