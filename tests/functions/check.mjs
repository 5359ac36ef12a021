// Runs all sample functions under Node with thin shims for what CloudFront has, and compares what they return with cases.json.
//
//     node tests/functions/check.mjs [NAME…]
//
// It proves the data, not Edgeweir: Edgeweir's own tests run the same files in its JavaScript engine.
import { deepStrictEqual } from 'node:assert';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const plain = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

/// The module `cloudfront`: a store out of the case, and calls that are only noted.
function cloudfront(stores, calls) {
    const noted = (name) => (...given) => void calls.push([name, ...plain(given)]);
    const value = (key) => {
        if (!Object.hasOwn(stores, key)) throw new Error(`no such key: ${key}`);
        return stores[key];
    };
    const formats = { string: (text) => text, json: (text) => JSON.parse(text), bytes: (text) => Buffer.from(text) };
    return {
        kvs: () => ({
            get: async (key, { format = 'string' } = {}) => formats[format](value(key)),
            exists: async (key) => Object.hasOwn(stores, key),
            meta: async () => ({ keyCount: Object.keys(stores).length }),
        }),
        updateRequestOrigin: noted('updateRequestOrigin'),
        selectRequestOriginById: noted('selectRequestOriginById'),
        createRequestOriginGroup: noted('createRequestOriginGroup'),
    };
}

/// The source of a module as the body of a function: imports become constants, exports are left out.
function body(source) {
    return source
        .replace(/^import\s+(.+?)\s+from\s+(['"])(?:node:)?(.+?)\2;?$/gm, (_, names, __, module) => `const ${names} = __modules(${JSON.stringify(module)});`)
        .replace(/^export\s+(?=(?:const|let|var|async|function))/gm, '');
}

function evaluate(source, names, values) {
    return new Function(...names, `'use strict';\n${body(source)}\nreturn typeof handler === 'undefined' ? exports.handler : handler;`)(...values);
}

async function cloudfrontFunction(source, test, calls) {
    const modules = (name) => ({ cloudfront: cloudfront(test.kvs ?? {}, calls), crypto: require('crypto'), querystring: require('querystring') })[name];
    // Of the runtime 1.0.
    String.bytesFrom = (bytes, encoding) => Buffer.from(bytes, encoding).toString('latin1');
    const names = ['__modules', 'require', 'exports', 'console'];
    const handler = evaluate(source, names, [modules, modules, {}, { log: () => {} }]);
    const event = structuredClone(test.event);
    Object.defineProperty(event.request, 'rawQueryString', { value: () => test.rawQueryString, enumerable: false });
    return handler(event);
}

async function lambdaFunction(source, test) {
    const exports = {};
    const handler = evaluate(source, ['__modules', 'require', 'exports', 'module'], [require, require, exports, { exports }]);
    return new Promise((resolve, reject) => {
        const callback = (error, result) => (error ? reject(error) : resolve(result));
        const context = { functionName: 'sample', awsRequestId: '0', getRemainingTimeInMillis: () => 5000 };
        const returned = handler(structuredClone(test.event), context, callback);
        // Without a promise the callback counts.
        if (typeof returned?.then === 'function') returned.then(resolve, reject);
    });
}

/// What is wrong with a case, if anything is.
async function wrong(run, source, test) {
    const calls = [];
    let returned;
    try {
        returned = plain(await run(source, test, calls));
    } catch (error) {
        if (test.error === undefined) return error.stack;
        return String(error.message).includes(test.error) ? undefined : `another error: ${error.message}`;
    }
    if (test.error !== undefined) return `no error, but ${JSON.stringify(returned)}`;
    try {
        deepStrictEqual(returned, test.expect);
        deepStrictEqual(calls, test.calls ?? []);
    } catch (error) {
        return error.message;
    }
    return undefined;
}

const wanted = process.argv.slice(2);
let passed = 0;
let failed = 0;
for (const [kind, file, run] of [['cloudfront', 'function.js', cloudfrontFunction], ['lambda', 'index.js', lambdaFunction]]) {
    for (const name of readdirSync(join(here, kind)).sort()) {
        if (wanted.length && !wanted.includes(name)) continue;
        const source = readFileSync(join(here, kind, name, file), 'utf8');
        const cases = JSON.parse(readFileSync(join(here, kind, name, 'cases.json'), 'utf8'));
        if (!cases.length) throw new Error(`${kind}/${name} has no cases`);
        for (const test of cases) {
            const why = await wrong(run, source, test);
            if (why === undefined) passed += 1;
            else {
                failed += 1;
                console.error(`FAIL ${kind}/${name}: ${test.name}\n${why}\n`);
            }
        }
    }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed || !passed ? 1 : 0;
