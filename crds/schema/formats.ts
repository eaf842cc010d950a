const INT32_MAX = 2_147_483_647;
const DATE = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$/;
const DURATION = /^[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const EMAIL = /^[^@\s]+@[^@\s]+$/;

function isIpv6(text: string): boolean {
  return text.includes(":") && URL.canParse(`http://[${text}]/`);
}

function isCidr(text: string): boolean {
  const [address = "", prefix = "", rest] = text.split("/");
  if (rest !== undefined || !/^\d{1,3}$/.test(prefix)) return false;
  return IPV4.test(address) ? Number(prefix) <= 32 : isIpv6(address) && Number(prefix) <= 128;
}

const STRING_FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: (text) => DATE.test(text),
  "date-time": (text) => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)),
  duration: (text) => DURATION.test(text.replaceAll(" ", "")),
  byte: (text) => BASE64.test(text.replaceAll(/[\r\n]/g, "")),
  ipv4: (text) => IPV4.test(text),
  ipv6: isIpv6,
  cidr: isCidr,
  uuid: (text) => UUID.test(text),
  email: (text) => EMAIL.test(text),
  uri: (text) => text.startsWith("/") || URL.canParse(text),
};

const NUMBER_FORMATS: Readonly<Record<string, (number: number) => boolean>> = {
  int32: (number) => number >= -INT32_MAX - 1 && number <= INT32_MAX,
  int64: (number) => number >= -(2 ** 63) && number <= 2 ** 63,
};

/** The check for a string format; undefined for a format the API server does not check either. */
export function stringFormat(format: string | undefined): ((text: string) => boolean) | undefined {
  return format === undefined ? undefined : STRING_FORMATS[format];
}

/** The range check of an integer format; undefined for other formats. */
export function numberFormat(format: string | undefined): ((number: number) => boolean) | undefined {
  return format === undefined ? undefined : NUMBER_FORMATS[format];
}

/** The JSON-schema pattern of a Kubernetes quantity (`1`, `1.5Gi`, `100m`, `1e3`), as CRD schemas publish it. */
export const QUANTITY_PATTERN =
  "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";
