// validate_har.mjs FILE: the HAR 1.2 schema of har-validator; exit code 1 and the faults when it does not hold.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.NODE_FOLDER + "/");
const validate = require("har-validator/lib/async");
validate.har(JSON.parse(readFileSync(process.argv[2], "utf8")), (error, ok) => {
  if (ok) process.exit(0);
  for (const fault of (error?.errors ?? [error]).slice(0, 5)) {
    console.log(`${fault?.dataPath ?? ""} ${fault?.message ?? fault}`);
  }
  process.exit(1);
});
