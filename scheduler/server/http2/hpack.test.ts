import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { ConnectionError } from "./frames.ts";
import { HpackDecoder, encodeLiterals } from "./hpack.ts";
import { STATIC_TABLE } from "./static-table.ts";

type Fields = readonly (readonly [name: string, value: string])[];

function decode(decoder: HpackDecoder, block: Buffer): Fields {
  const fields: [string, string][] = [];
  decoder.decode(block, (name, value) => void fields.push([name, value]));
  return fields;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const CUSTOM: Fields = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];
const COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

describe("vectors of RFC 7541", () => {
  const decoders: readonly (readonly [string, readonly (readonly [string, Fields])[]])[] = [
    [
      "C.2.1, an indexed literal",
      [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", [["custom-key", "custom-header"]]]],
    ],
    [
      "C.2.3, a literal never to be indexed",
      [["1008 7061 7373 776f 7264 0673 6563 7265 74", [["password", "secret"]]]],
    ],
    [
      "C.3, requests on one connection",
      [
        ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", GET],
        ["8286 84be 5808 6e6f 2d63 6163 6865", [...GET, ["cache-control", "no-cache"]]],
        ["8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", CUSTOM],
      ],
    ],
    [
      "C.4, the same with Huffman codes",
      [
        ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", GET],
        ["8286 84be 5886 a8eb 1064 9cbf", [...GET, ["cache-control", "no-cache"]]],
        ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", CUSTOM],
      ],
    ],
    [
      "C.6, responses with Huffman codes and a table of 256 bytes",
      [
        [
          "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
          [
            [":status", "302"],
            ["cache-control", "private"],
            ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
            ["location", "https://www.example.com"],
          ],
        ],
        [
          "4883 640e ffc1 c0bf",
          [
            [":status", "307"],
            ["cache-control", "private"],
            ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
            ["location", "https://www.example.com"],
          ],
        ],
        [
          "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
          [
            [":status", "200"],
            ["cache-control", "private"],
            ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
            ["location", "https://www.example.com"],
            ["content-encoding", "gzip"],
            ["set-cookie", COOKIE],
          ],
        ],
      ],
    ],
  ];
  test.each(decoders)("%s", (_name, blocks) => {
    const decoder = new HpackDecoder();
    for (const [block, fields] of blocks) expect(decode(decoder, hex(block))).toEqual(fields);
  });

  test("the static table ends with www-authenticate", () => {
    expect(STATIC_TABLE).toHaveLength(62);
    expect(STATIC_TABLE[61]).toEqual({ name: "www-authenticate", value: "" });
  });
});

test.each([
  ["an index of nothing", "80"],
  ["an index beyond the table", "be"],
  ["an integer without end", "ffffffffffffffff7f"],
  ["an integer that is cut", "ff"],
  ["a string beyond the block", "0005 61"],
  ["a table larger than announced", "3fe2 1f"],
  ["a table size behind a field", "82 20"],
  ["the end-of-string symbol", "0084 ffff fffc 00"],
  ["Huffman padding of eight bits", "0082 1fff 00"],
  ["Huffman padding with a zero", "0081 18 00"],
])("damaged: %s", (_name, block) => {
  expect(() => decode(new HpackDecoder(), hex(block))).toThrow(ConnectionError);
});

const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

test("what is encoded is decoded", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ name: latin1, value: latin1 })), (fields) => {
      const decoded = decode(new HpackDecoder(), encodeLiterals(fields));
      expect(decoded).toEqual(fields.map(({ name, value }) => [name, value]));
    }),
    { numRuns: 200 },
  );
});

test("any bytes give fields or a ConnectionError", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }), (blocks) => {
      const decoder = new HpackDecoder();
      try {
        for (const block of blocks) decode(decoder, Buffer.from(block));
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectionError);
      }
    }),
    { numRuns: 2000 },
  );
});
