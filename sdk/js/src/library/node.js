// What handlers of Lambda find of Node: `process`, and the modules `util` and `path`.
(function (native, parts) {
    'use strict';
    let calling = false;
    let env;

    // What bundles ask for while they are defined, without needing an answer.
    const ASKED = /^(NODE_ENV|NODE_DEBUG|NODE_OPTIONS|DEBUG|DEBUG_.*|CI|TERM|COLORTERM|FORCE_COLOR|NO_COLOR|READABLE_STREAM|NODE_V8_COVERAGE|AWS_.*|LAMBDA_.*|_X_.*)$/;

    // Before a call there are no settings: nothing would be what it is later.
    const early = new Proxy({}, {
        get(_, name) {
            if (typeof name === 'symbol' || ASKED.test(name)) return undefined;
            throw new Error('`process.env.' + name + '` is of the settings of a binding: read it in the function, not when the file is loaded');
        },
        has: () => false,
    });

    // The settings of the binding, as text.
    function settings() {
        const all = {};
        for (const [name, value] of Object.entries(JSON.parse(native.settings()))) {
            all[name] = typeof value === 'object' ? JSON.stringify(value) : String(value);
        }
        return all;
    }

    const process = {
        get env() {
            if (!calling) return early;
            return env === undefined ? (env = settings()) : env;
        },
        argv: ['node', 'index.js'],
        arch: 'wasm32',
        platform: 'linux',
        version: 'v20.0.0',
        versions: { node: '20.0.0' },
        release: { name: 'node' },
        cwd: () => '/',
        emitWarning: (warning) => console.warn(warning),
        nextTick: (run, ...given) => void Promise.resolve().then(() => run(...given)),
        on: () => process,
        once: () => process,
        off: () => process,
    };

    // --- util

    function inspect(value) {
        if (typeof value === 'string') return "'" + value + "'";
        if (typeof value === 'function') return '[Function: ' + (value.name || 'anonymous') + ']';
        if (typeof value === 'bigint') return value + 'n';
        if (value instanceof Error) return value.stack ? value + '\n' + value.stack.trimEnd() : String(value);
        if (value === null || typeof value !== 'object') return String(value);
        try {
            return JSON.stringify(value);
        } catch {
            return Object.prototype.toString.call(value);
        }
    }

    function format(first, ...rest) {
        if (typeof first !== 'string') return [first, ...rest].map((value) => (typeof value === 'string' ? value : inspect(value))).join(' ');
        const text = first.replace(/%([sdifjoOc%])/g, (whole, kind) => {
            if (kind === '%') return '%';
            if (rest.length === 0) return whole;
            const value = rest.shift();
            if (kind === 's') return typeof value === 'string' ? value : typeof value === 'object' && value !== null ? inspect(value) : String(value);
            if (kind === 'd') return String(Number(value));
            if (kind === 'i') return String(parseInt(value, 10));
            if (kind === 'f') return String(parseFloat(value));
            if (kind === 'c') return '';
            return kind === 'j' ? JSON.stringify(value) : inspect(value);
        });
        return [text, ...rest.map((value) => (typeof value === 'string' ? value : inspect(value)))].join(' ');
    }

    function isDeepStrictEqual(a, b) {
        if (Object.is(a, b)) return true;
        if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
        if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
        const names = Object.keys(a);
        if (names.length !== Object.keys(b).length) return false;
        return names.every((name) => Object.prototype.hasOwnProperty.call(b, name) && isDeepStrictEqual(a[name], b[name]));
    }

    const util = {
        format,
        inspect,
        isDeepStrictEqual,
        promisify: (run) => (...given) => new Promise((resolve, reject) => {
            run(...given, (error, value) => (error ? reject(error) : resolve(value)));
        }),
        callbackify: (run) => (...given) => {
            const callback = given.pop();
            run(...given).then((value) => callback(null, value), callback);
        },
        inherits(child, parent) {
            Object.defineProperty(child, 'super_', { value: parent, writable: true, configurable: true });
            Object.setPrototypeOf(child.prototype, parent.prototype);
        },
        deprecate: (run) => run,
        isArray: Array.isArray,
        types: {
            isDate: (value) => value instanceof Date,
            isRegExp: (value) => value instanceof RegExp,
            isPromise: (value) => value instanceof Promise,
            isUint8Array: (value) => value instanceof Uint8Array,
        },
        TextDecoder,
        TextEncoder,
    };

    // --- path, of POSIX

    function normalizeParts(text) {
        const parts = [];
        for (const part of text.split('/')) {
            if (part === '' || part === '.') continue;
            if (part === '..' && parts.length > 0 && parts[parts.length - 1] !== '..') parts.pop();
            else if (part !== '..' || !text.startsWith('/')) parts.push(part);
        }
        return parts;
    }

    function normalize(text) {
        const joined = normalizeParts(text).join('/');
        const end = text.endsWith('/') && joined !== '' ? '/' : '';
        if (text.startsWith('/')) return '/' + joined + end;
        return joined === '' ? '.' : joined + end;
    }

    function basename(text, extension) {
        const name = text.replace(/\/+$/, '').split('/').pop();
        return extension !== undefined && name !== extension && name.endsWith(extension) ? name.slice(0, -extension.length) : name;
    }

    function extname(text) {
        const name = basename(text);
        const at = name.lastIndexOf('.');
        return at <= 0 ? '' : name.slice(at);
    }

    function dirname(text) {
        const bare = text.replace(/\/+$/, '');
        const at = bare.lastIndexOf('/');
        if (at < 0) return bare === '' && text !== '' ? '/' : '.';
        return bare.slice(0, at).replace(/\/+$/, '') || '/';
    }

    const path = {
        sep: '/',
        delimiter: ':',
        basename,
        dirname,
        extname,
        normalize,
        isAbsolute: (text) => text.startsWith('/'),
        join: (...all) => normalize(all.filter((part) => part !== '').join('/') || '.'),
        resolve(...all) {
            let text = '';
            for (let i = all.length - 1; i >= 0 && !text.startsWith('/'); i--) if (all[i] !== '') text = text === '' ? all[i] : all[i] + '/' + text;
            return '/' + normalizeParts('/' + text).join('/');
        },
        parse(text) {
            const base = basename(text), ext = extname(text);
            const dir = text.includes('/') ? dirname(text) : '';
            return { root: text.startsWith('/') ? '/' : '', dir, base, ext, name: ext === '' ? base : base.slice(0, -ext.length) };
        },
    };
    path.posix = path;

    parts.util = util;
    parts.path = path;
    parts.process = process;
    Object.defineProperty(globalThis, 'process', { value: process, writable: true, configurable: true });
    Object.defineProperty(globalThis, 'global', { value: globalThis, writable: true, configurable: true });
    return {
        begin() {
            calling = true;
        },
    };
})
