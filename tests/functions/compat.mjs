// The tests of compat-table (Juriy Zaytsev's, MIT licence; package `compat-table`) as one file of JSON: `{ suite, name, source }` each.
// `node tests/functions/compat.mjs FOLDER > cases.json`; FOLDER is the unpacked package.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const load = createRequire(import.meta.url);
const folder = resolve(process.argv[2]);

// A test is a function whose body is in a comment, or the function itself.
function source(exec) {
    const text = exec.toString();
    const comment = /^function\s*\([^)]*\)\s*\{\s*\/\*([^]*)\*\/\s*;?\s*\}$/.exec(text);
    return comment ? comment[1] : text.slice(text.indexOf('{') + 1, text.lastIndexOf('}'));
}

const cases = [];
for (const suite of ['es5', 'es6', 'es2016plus']) {
    const add = (name, exec) => {
        for (const one of Array.isArray(exec) ? exec : [exec]) {
            // What only browsers have is marked so.
            if (typeof one === 'function') cases.push({ suite, name, source: source(one) });
        }
    };
    for (const test of load(`${folder}/data-${suite}.js`).tests) {
        if (test.annex_b && /HTML|document/.test(test.name)) continue;
        for (const part of test.subtests ?? [test]) add(test.subtests ? `${test.name}: ${part.name}` : test.name, part.exec);
    }
}
process.stdout.write(JSON.stringify(cases));
