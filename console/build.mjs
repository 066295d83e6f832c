// Builds the console into src/clew/console/: a page, and assets whose names hold their hash, each
// compressed ahead. The result is committed, so that neither a clone nor the wheel needs node.
// `node build.mjs DIRECTORY` builds elsewhere, for comparison.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const target = process.argv[2] ?? join(import.meta.dirname, "..", "src", "clew", "console");
const result = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ["src/main.tsx", "src/style.css"],
  outdir: join(target, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none",
  charset: "utf8",
  write: false,
});

rmSync(join(target, "assets"), { recursive: true, force: true });
mkdirSync(join(target, "assets"), { recursive: true });
const names = result.outputFiles.map((file) => basename(file.path));
for (const file of result.outputFiles) {
  compressed(join(target, "assets", basename(file.path)), Buffer.from(file.contents));
}
const named = (start, end) => names.find((name) => name.startsWith(start) && name.endsWith(end));
const page = readFileSync(join(import.meta.dirname, "src", "index.html"), "utf8")
  .replace("main.js", named("main-", ".js"))
  .replace("style.css", named("style-", ".css"));
compressed(join(target, "index.html"), Buffer.from(page));

function compressed(path, content) {
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  const small = brotliCompressSync(content, { params: quality });
  writeFileSync(`${path}.br`, small);
  console.log(`${basename(path)}  ${content.length} bytes, ${small.length} compressed`);
}
