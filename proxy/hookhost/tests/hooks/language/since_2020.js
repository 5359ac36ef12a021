//# 2020: optional chaining
const a = { b: { c() { return this.d; }, d: 1 } };
return a?.b?.c() === 1 && a?.x?.y.z === undefined && a.f?.() === undefined && a?.['b'].d === 1;
//# 2020: nullish coalescing
return (null ?? 1) === 1 && (0 ?? 1) === 0 && (undefined ?? null) === null;
//# 2020: BigInt
return 2n ** 64n === 18446744073709551616n && typeof 1n === 'bigint' && BigInt.asUintN(8, 257n) === 1n && 5n / 2n === 2n;
//# 2020: Promise.allSettled
return Promise.allSettled([1, Promise.reject(2)]).then(([a, b]) => a.status === 'fulfilled' && b.reason === 2);
//# 2020: String.prototype.matchAll
return [...'a1b2'.matchAll(/[a-z](\d)/g)].map((m) => m[1]).join() === '1,2';
//# 2020: globalThis
return globalThis === new Function('return this')();
//# 2021: logical assignment
let a = null, b = 1, c = 0; a ??= 2; b &&= 3; c ||= 4; return a === 2 && b === 3 && c === 4;
//# 2021: String.prototype.replaceAll
return 'a.a.'.replaceAll('.', '$$') === 'a$a$' && 'aXbX'.replaceAll('X', (m, at) => at) === 'a1b3';
//# 2021: Promise.any and AggregateError
return Promise.any([Promise.reject(1), 2]).then((v) => v === 2 && new AggregateError([1]).errors.length === 1);
//# 2021: numeric separators
return 1_000.5 === 1000.5 && 0xff_ff === 65535;
//# 2021: WeakRef and FinalizationRegistry
const o = {}; return new WeakRef(o).deref() === o && typeof FinalizationRegistry === 'function';
//# 2022: class fields, public, private and static
class A { x = 1; #y = 2; static z = 3; static #n = 4; get y() { return this.#y; } static n() { return A.#n; } }
const a = new A(); return a.x === 1 && a.y === 2 && A.z === 3 && A.n() === 4;
//# 2022: private methods and accessors, and `#x in o`
class A { #m() { return 1; } get #g() { return 2; } sum() { return this.#m() + this.#g; } static is(o) { return #m in o; } }
return new A().sum() === 3 && A.is(new A()) && !A.is({});
//# 2022: static blocks
class A { static x; static { A.x = 5; } } return A.x === 5;
//# 2022: at()
return [1, 2].at(-1) === 2 && 'ab'.at(-2) === 'a' && new Uint8Array([7]).at(0) === 7;
//# 2022: Object.hasOwn
return Object.hasOwn({ a: 1 }, 'a') && !Object.hasOwn({}, 'toString');
//# 2022: Error cause
return new Error('a', { cause: 1 }).cause === 1;
//# 2022: RegExp match indices
return /a(?<Z>b)/d.exec('xab').indices.groups.Z.join() === '2,3';
//# 2023: findLast and findLastIndex
return [1, 2, 3].findLast((x) => x < 3) === 2 && [1, 2, 3].findLastIndex((x) => x < 3) === 1;
//# 2023: toSorted, toReversed, toSpliced, with
const a = [3, 1]; return a.toSorted().join() === '1,3' && a.toReversed().join() === '1,3' && a.toSpliced(0, 1).join() === '1'
    && a.with(0, 9).join() === '9,1' && a.join() === '3,1';
//# 2023: symbols as WeakMap keys
const s = Symbol('s'); const m = new WeakMap([[s, 1]]); return m.get(s) === 1;
//# 2024: Object.groupBy and Map.groupBy
return Object.groupBy([1, 2, 3], (x) => (x % 2 ? 'odd' : 'even')).odd.join() === '1,3'
    && Map.groupBy([1, 2], (x) => x > 1).get(true).join() === '2';
//# 2024: Promise.withResolvers
const { promise, resolve } = Promise.withResolvers(); resolve(true); return promise;
//# 2024: RegExp v flag
return /^[\p{L}--[a-z]]$/v.test('A') && !/^[\p{L}--[a-z]]$/v.test('a');
//# 2024: isWellFormed and toWellFormed
return !'\ud800'.isWellFormed() && '\ud800'.toWellFormed() === '\ufffd';
//# 2024: ArrayBuffer resize and transfer
const b = new ArrayBuffer(4, { maxByteLength: 8 }); b.resize(8);
return b.byteLength === 8 && b.transfer().byteLength === 8 && b.detached;
//# 2024: Atomics.waitAsync
return typeof Atomics.waitAsync === 'function';
//# 2025: Set methods
const a = new Set([1, 2]), b = new Set([2, 3]);
return [...a.union(b)].join() === '1,2,3' && [...a.intersection(b)].join() === '2' && [...a.difference(b)].join() === '1'
    && [...a.symmetricDifference(b)].join() === '1,3' && a.isSubsetOf(new Set([1, 2, 3])) && !a.isDisjointFrom(b);
//# 2025: iterator helpers
function* n() { for (let i = 0; ; i++) yield i; }
return n().filter((x) => x % 2).map((x) => x * 10).drop(1).take(2).toArray().join() === '30,50' && n().some((x) => x > 3)
    && Iterator.from([1]).next().value === 1;
//# 2025: RegExp.escape
return new RegExp(RegExp.escape('a.b*')).test('a.b*') && !new RegExp(RegExp.escape('a.b')).test('axb');
//# 2025: RegExp modifiers
return /^(?i:a)b$/.test('Ab') && !/^(?i:a)b$/.test('AB');
//# 2025: duplicate named groups
return /(?<y>\d{4})-\d\d|\d\d-(?<y>\d{4})/.exec('12-2025').groups.y === '2025';
//# 2025: Promise.try
return Promise.try(() => { throw 1; }).catch((e) => e === 1);
//# 2025: Float16Array and Math.f16round
return new Float16Array([1.5])[0] === 1.5 && Math.f16round(1.337) === 1.3369140625;
//# 2026: Array.fromAsync
async function* n() { yield 1; yield 2; } return Array.fromAsync(n()).then((a) => a.join() === '1,2');
//# 2026: Uint8Array from and to base64 and hex
return new Uint8Array([255, 0]).toHex() === 'ff00' && Uint8Array.fromBase64('/wA=')[0] === 255;
//# 2026: Error.isError
return Error.isError(new TypeError('a')) && !Error.isError({});
//# 2026: Math.sumPrecise
return Math.sumPrecise([1e20, 0.1, -1e20]) === 0.1;
//# 2026: Map.prototype.getOrInsert
return new Map().getOrInsert('a', 1) === 1;
//# async iteration
async function* n() { yield 1; yield 2; }
return (async () => { let sum = 0; for await (const x of n()) sum += x; return sum === 3; })();
//# Proxy and Reflect
const seen = []; const p = new Proxy({}, { get(t, k) { seen.push(k); return 1; } }); return p.a + p.b === 2 && seen.join() === 'a,b';
//# lookbehind and named groups
return /(?<=\$)(?<n>\d+)/u.exec('a$42').groups.n === '42';
//# Unicode property escapes
return /^\p{Script=Greek}+$/u.test('αβγ') && /\p{Emoji}/u.test('😀');
//# String.prototype.normalize
return 'e\u0301'.normalize('NFC') === 'é';
//# Date in ISO and RFC form
return new Date(Date.UTC(2026, 0, 2)).toISOString() === '2026-01-02T00:00:00.000Z' && Date.parse('Fri, 02 Jan 2026 00:00:00 GMT') === Date.UTC(2026, 0, 2);
//# structuredClone
return structuredClone({ a: [1] }).a[0] === 1;
//# Intl
return typeof Intl === 'object' && new Intl.NumberFormat('de').format(1234.5) === '1.234,5';
//# SharedArrayBuffer
return new SharedArrayBuffer(1).byteLength === 1;
//# eval
return (0, eval)('1 + 1') === 2;
//# WebAssembly
return typeof WebAssembly === 'object';
//# queueMicrotask
return new Promise((resolve) => queueMicrotask(() => resolve(true)));
//# setTimeout
return new Promise((resolve) => setTimeout(resolve, 1, true));
