// devtools_har.mjs HAR...: each archive read by the importer of Chromium's own network panel. The browser serves its
// developer tools on its debugging port; the page of the tools loads the same module that "Import HAR" uses.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const require = createRequire(process.env.NODE_FOLDER + "/");
const { chromium } = require("playwright-core");
let failed = false;
const check = (name, ok, detail = "") => {
  failed ||= !ok;
  console.log(`${ok ? "PASS" : "FAIL"} devtools: ${name}${detail ? `: ${detail}` : ""}`);
};
const port = Number(process.env.DEVTOOLS_PORT);
// a browser that keeps to itself: no updates, no accounts, no start page
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [...quiet, `--remote-debugging-port=${port}`] });
const page = await browser.newPage();
await page.goto(`http://localhost:${port}/devtools/devtools_app.html`);

// the requests as the network panel holds them: seconds of each phase
const imported = (text) => page.evaluate(async (text) => {
  const { HARFormat, Importer } = await import("./models/har/har.js");
  const root = new HARFormat.HARRoot(JSON.parse(text));
  return Importer.Importer.requestsFromHARLog(root.log).map((request) => ({
    url: request.url(), status: request.statusCode, finished: request.finished, failed: request.failed,
    duration: request.duration, latency: request.latency, timing: request.timing,
  }));
}, text);

for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, "utf8");
  // the panel orders requests by their start
  const entries = JSON.parse(text).log.entries.sort((a, b) => new Date(a.startedDateTime) - new Date(b.startedDateTime));
  const requests = await imported(text);
  check(`${basename(file)}: every entry is a request`, requests.length === entries.length && entries.length > 0, `${requests.length} of ${entries.length}`);
  const same = requests.filter((r, i) => r.url === entries[i].request.url && r.status === entries[i].response.status);
  check(`${basename(file)}: URLs and status codes stand`, same.length === entries.length, `${same.length}`);
  // the panel adds the phases up by itself: its duration is the entry's time
  const off = requests.map((r, i) => Math.abs(r.duration * 1000 - entries[i].time)).filter((ms) => !(ms < 1));
  check(`${basename(file)}: durations are the entries' times`, off.length === 0, `${off.length} differ${off.length ? `, by up to ${Math.max(...off)} ms` : ""}`);
  const untimed = requests.filter((r) => !r.timing);
  check(`${basename(file)}: phases are shown`, untimed.length === 0, `${untimed.length} without`);
}
await browser.close();
process.exit(failed ? 1 : 0);
