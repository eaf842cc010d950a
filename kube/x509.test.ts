import { X509Certificate, createPrivateKey } from "node:crypto";
import { createServer, connect } from "node:tls";
import { describe, expect, test } from "@jest/globals";
import { createSelfSigned } from "./x509.ts";

const OPTIONS = {
  organization: "Test",
  dnsNames: ["localhost", "svc.ns.svc.cluster.local"],
  ipAddresses: ["127.0.0.1", "fd00::1:2", "::ffff:10.0.0.7"],
  notBefore: new Date("2026-01-02T03:04:05Z"),
  notAfter: new Date("2038-01-01T00:00:00Z"),
};

describe("createSelfSigned", () => {
  const pair = createSelfSigned({ ...OPTIONS, commonName: "server" });
  const certificate = new X509Certificate(pair.certificate);

  test("says what it was told", () => {
    expect(certificate.subject).toBe("O=Test\nCN=server");
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.subjectAltName).toBe(
      "DNS:localhost, DNS:svc.ns.svc.cluster.local, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:1:2, IP Address:0:0:0:0:0:FFFF:A00:7",
    );
    expect(new Date(certificate.validFrom)).toEqual(OPTIONS.notBefore);
    expect(new Date(certificate.validTo)).toEqual(OPTIONS.notAfter);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  });

  test("is signed by its own key", () => {
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(pair.privateKey))).toBe(true);
    expect(pair.privateKey).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  });

  test("keeps a given key", () => {
    const again = createSelfSigned(OPTIONS, pair.privateKey);
    expect(again.privateKey).toBe(pair.privateKey);
    expect(new X509Certificate(again.certificate).checkPrivateKey(createPrivateKey(pair.privateKey))).toBe(true);
  });

  test("writes dates past 2049 as GeneralizedTime", () => {
    const { certificate: text } = createSelfSigned({ ...OPTIONS, notAfter: new Date("2051-05-06T07:08:09Z") });
    expect(new Date(new X509Certificate(text).validTo)).toEqual(new Date("2051-05-06T07:08:09Z"));
  });

  test("refuses an address that is none", () => {
    expect(() => createSelfSigned({ ...OPTIONS, ipAddresses: ["None"] })).toThrow('certificate address "None"');
  });

  test("serves TLS to a client that trusts it", async () => {
    const server = createServer({ key: pair.privateKey, cert: pair.certificate }, (socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", ca: pair.certificate, servername: "localhost" });
      socket.on("data", (data) => resolve(data.toString()));
      socket.on("error", reject);
    });
    expect(text).toBe("hello");
    await new Promise((resolve) => server.close(resolve));
  });
});
