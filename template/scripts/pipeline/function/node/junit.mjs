// Node's test results as JUnit: valid XML whatever tests print, a suite for each file, right counts.
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;" };
const NOT_IN_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

function text(value) {
  const plain = String(value ?? "").replace(NOT_IN_XML, "\ufffd");
  return plain.replace(/[&<>"\n]/g, (sign) => ESCAPES[sign]);
}

function testcase({ name, details, outcome }, file) {
  const seconds = (details.duration_ms / 1000).toFixed(6);
  const error = details.error?.cause ?? details.error;
  const inside = {
    passed: "",
    skipped: "<skipped/>",
    failed: `<failure message="${text(error?.message ?? error)}">${text(error?.stack ?? error)}</failure>`,
  };
  const facts = `name="${text(name)}" classname="${text(file)}" time="${seconds}"`;
  return `<testcase ${facts}>${inside[outcome]}</testcase>\n`;
}

export default async function* junit(events) {
  const files = new Map();
  for await (const { type, data } of events) {
    if (!["test:pass", "test:fail"].includes(type) || data.details?.type === "suite") continue;
    const file = data.file?.replace(`${process.cwd()}/`, "") ?? "tests";
    const isLeft = data.skip !== undefined || data.todo !== undefined;
    const outcome = isLeft ? "skipped" : type === "test:fail" ? "failed" : "passed";
    files.set(file, [...(files.get(file) ?? []), { ...data, outcome }]);
  }
  yield '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n';
  for (const [file, cases] of files) {
    const count = (outcome) => cases.filter((one) => one.outcome === outcome).length;
    const counts = `failures="${count("failed")}" skipped="${count("skipped")}"`;
    yield `<testsuite name="${text(file)}" tests="${cases.length}" ${counts}>\n`;
    yield cases.map((one) => testcase(one, file)).join("");
    yield "</testsuite>\n";
  }
  yield "</testsuites>\n";
}
