const QUANTITY = /^([+-]?)(\d*)(?:\.(\d*))?(?:(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])|[eE]([+-]?\d+))?$/;
const NANO_DIGITS = 9;

const DECIMAL_EXPONENTS: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_SUFFIXES = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const MAX_EXPONENT = 40;

/** `digits × 10^exponent` in integers, rounded away from zero as Kubernetes rounds below its smallest unit. */
function scaleUp(digits: bigint, exponent: number): bigint {
  if (exponent >= 0) return digits * 10n ** BigInt(exponent);
  const divisor = 10n ** BigInt(-exponent);
  return (digits + divisor - 1n) / divisor;
}

/**
 * Value of a Kubernetes quantity (`100m`, `1.5Gi`, `1e3`) in billionths; finer parts round up. Undefined for any other
 * text. Exponents beyond ±40 count as no quantity.
 */
export function parseQuantity(text: string): bigint | undefined {
  const match = QUANTITY.exec(text);
  const [, sign, whole = "", fraction = "", suffix = "", power = "0"] = match ?? [];
  if (match === null || whole + fraction === "" || whole.length + fraction.length > MAX_EXPONENT) return undefined;
  const exponent = (DECIMAL_EXPONENTS[suffix] ?? 0) + Number(power);
  if (Math.abs(exponent) > MAX_EXPONENT) return undefined;
  const binary = 1024n ** BigInt(BINARY_SUFFIXES.indexOf(suffix) + 1);
  const value = scaleUp(BigInt(whole + fraction) * binary, exponent - fraction.length + NANO_DIGITS);
  return sign === "-" ? -value : value;
}

/** Whole units of a Kubernetes quantity, rounded up (`10Gi` → 10737418240); undefined for any other text. */
export function quantityUnits(text: string): bigint | undefined {
  const nano = parseQuantity(text);
  if (nano === undefined) return undefined;
  const units = nano / 1_000_000_000n;
  return nano > units * 1_000_000_000n ? units + 1n : units;
}

const NANO = 1_000_000_000n;
const DECIMAL_SUFFIXES = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_STEPS = ["", ...BINARY_SUFFIXES];

/** The whole number without its factors of `base`, at most `limit` of them, and how many there were. */
function withoutFactors(value: bigint, base: bigint, limit: number): { readonly rest: bigint; readonly count: number } {
  let [rest, count] = [value, 0];
  while (rest !== 0n && rest % base === 0n && count < limit) {
    rest /= base;
    count++;
  }
  return { rest, count };
}

function decimalText(nano: bigint, exponents: boolean): string {
  const { rest, count } = withoutFactors(nano, 1000n, DECIMAL_SUFFIXES.length - 1);
  const power = (count - 3) * 3;
  if (exponents) return power === 0 ? String(rest) : `${rest}e${power}`;
  return `${rest}${DECIMAL_SUFFIXES[count]}`;
}

/**
 * The form in which Kubernetes writes a quantity: `0.5` is `500m`, `1024Mi` is `1Gi`, `1000m` is `1`. Any other text comes
 * back as it is.
 */
export function canonicalQuantity(text: string): string {
  const nano = parseQuantity(text);
  return nano === undefined ? text : writtenLike(text, nano);
}

/** Sum of two quantities in the suffixes of the first, as Kubernetes adds them; undefined where one is none. */
export function addQuantities(text: string, other: string): string | undefined {
  const [left, right] = [parseQuantity(text), parseQuantity(other)];
  if (left === undefined || right === undefined) return undefined;
  return writtenLike(left === 0n ? other : text, left + right);
}

/** A value in the family of suffixes that a text uses: exponents, powers of 1024, or of 1000. */
function writtenLike(text: string, nano: bigint): string {
  if (nano === 0n) return "0";
  if (/[eE][+-]?\d+$/.test(text)) return decimalText(nano, true);
  const small = nano < 1024n * NANO && nano > -1024n * NANO;
  // Parts of a unit have no binary form.
  if (!text.endsWith("i") || small || nano % NANO !== 0n) return decimalText(nano, false);
  const { rest, count } = withoutFactors(nano / NANO, 1024n, BINARY_SUFFIXES.length);
  return `${rest}${BINARY_STEPS[count]}`;
}
