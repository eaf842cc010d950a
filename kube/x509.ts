import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

/** What a self-signed server certificate says. */
export interface CertificateOptions {
  /** Organization of subject and issuer. */
  readonly organization: string;
  /** Common name of subject and issuer; left out where absent. */
  readonly commonName?: string;
  readonly dnsNames: readonly string[];
  /** IPv4 or IPv6 addresses as text. */
  readonly ipAddresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A certificate with its key, both PEM; the key is PKCS#8. */
export interface CertificatePair {
  readonly certificate: string;
  readonly privateKey: string;
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

const OID = {
  organization: "2.5.4.10",
  commonName: "2.5.4.3",
  ecdsaSha256: "1.2.840.10045.4.3.2",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** One DER element: tag, length, content. */
function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(body.length)]), body]);
}

const sequence = (...items: readonly Uint8Array[]): Buffer => element(TAG.sequence, ...items);

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return element(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** A positive INTEGER: a leading zero keeps the sign bit clear. */
function positiveInteger(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const trimmed = start < 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return element(TAG.integer, (trimmed[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed);
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, "").slice(0, 14);
  return date.getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`))
    : element(TAG.generalizedTime, Buffer.from(`${digits}Z`));
}

function distinguishedName(options: CertificateOptions): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    element(TAG.set, sequence(oid(type), element(TAG.utf8String, Buffer.from(value, "utf8"))));
  const common = options.commonName === undefined ? [] : [attribute(OID.commonName, options.commonName)];
  return sequence(attribute(OID.organization, options.organization), ...common);
}

function ipv6Bytes(address: string): number[] {
  const groups = (text: string): number[] =>
    text === ""
      ? []
      : text.split(":").flatMap((group) => (group.includes(".") ? ipv4Groups(group) : [Number.parseInt(group, 16)]));
  const [head = "", tail] = address.split("::");
  const [left, right] = [groups(head), tail === undefined ? [] : groups(tail)];
  const all = [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => 0), ...right];
  return all.flatMap((group) => [group >> 8, group & 0xff]);
}

function ipv4Groups(address: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}

function ipBytes(address: string): Buffer {
  const version = isIP(address);
  if (version === 0) throw new Error(`certificate address ${JSON.stringify(address)} is no IP address`);
  return Buffer.from(version === 4 ? address.split(".").map(Number) : ipv6Bytes(address.split("%")[0] ?? ""));
}

function extension(type: string, value: Uint8Array, critical = false): Buffer {
  const flag = critical ? [element(TAG.boolean, Buffer.from([0xff]))] : [];
  return sequence(oid(type), ...flag, element(TAG.octetString, value));
}

function extensions(options: CertificateOptions): Buffer {
  const names = [
    ...options.dnsNames.map((name) => element(TAG.dnsName, Buffer.from(name, "ascii"))),
    ...options.ipAddresses.map((address) => element(TAG.ipAddress, ipBytes(address))),
  ];
  // digitalSignature and keyEncipherment: the two highest bits, six unused.
  const usage = element(TAG.bitString, Buffer.from([5, 0xa0]));
  return sequence(
    extension(OID.keyUsage, usage, true),
    extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth))),
    extension(OID.basicConstraints, sequence(), true),
    ...(names.length === 0 ? [] : [extension(OID.subjectAltName, sequence(...names))]),
  );
}

const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${(
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  ).join("\n")}\n-----END ${label}-----\n`;

/**
 * A self-signed X.509 v3 certificate (RFC 5280) for the public half of an EC P-256 key, signed with ECDSA and SHA-256.
 * `serial` is a positive number of at most 20 bytes. Throws for an address that is none.
 */
export function encodeSelfSigned(options: CertificateOptions, key: KeyObject, serial: Uint8Array): Buffer {
  const algorithm = sequence(oid(OID.ecdsaSha256));
  const name = distinguishedName(options);
  const body = sequence(
    element(TAG.version, element(TAG.integer, Buffer.from([2]))),
    positiveInteger(serial),
    algorithm,
    name,
    sequence(time(options.notBefore), time(options.notAfter)),
    name,
    createPublicKey(key).export({ type: "spki", format: "der" }),
    element(TAG.extensions, extensions(options)),
  );
  return sequence(body, algorithm, element(TAG.bitString, Buffer.from([0]), sign("sha256", body, key)));
}

/** A fresh P-256 key, or the one given in PEM, with a self-signed server certificate for it. Takes about 2 ms. */
export function createSelfSigned(options: CertificateOptions, privateKeyPem?: string): CertificatePair {
  const key =
    privateKeyPem === undefined
      ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
      : createPrivateKey(privateKeyPem);
  return {
    certificate: pem("CERTIFICATE", encodeSelfSigned(options, key, randomBytes(16))),
    privateKey: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
