const base = {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": "<rootDir>/test/jest/transform.js" },
  moduleFileExtensions: ["ts", "js", "json"],
  moduleNameMapper: { "^fast-check$": "<rootDir>/test/jest/fast-check.js" },
  modulePathIgnorePatterns: ["<rootDir>/dist/"],
};

/** Folders whose tests start real processes. */
const REAL = ["e2e", "cluster", "envoy", "conformance"];
/** Two projects: `unit` beside the sources, and `e2e` with real processes, which run after it, one file at a time. */
export default {
  reporters: ["default", "<rootDir>/test/jest/summary-reporter.js"],
  projects: [
    {
      ...base,
      displayName: "unit",
      testMatch: ["<rootDir>/**/*.test.ts"],
      testPathIgnorePatterns: ["/node_modules/", ...REAL.map((folder) => `/test/${folder}/`)],
    },
    { ...base, displayName: "e2e", testMatch: [`<rootDir>/test/{${REAL.join(",")}}/**/*.test.ts`] },
  ],
};
