// What functions find without an import.
(function (native, parts) {
    'use strict';
    const { Buffer } = parts.buffer;
    const global = (name, value) =>
        Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });

    function shown(value) {
        if (typeof value === 'string') return value;
        if (value instanceof Error) return value.stack ? value + '\n' + value.stack.trimEnd() : String(value);
        if (typeof value === 'function') return '[Function: ' + (value.name || 'anonymous') + ']';
        if (value !== null && typeof value === 'object') {
            try {
                return JSON.stringify(value);
            } catch {
                return String(value);
            }
        }
        return String(value);
    }

    const line = (level) => (...values) => native.write(level, values.map(shown).join(' ').toWellFormed());
    global('console', { debug: line(0), log: line(1), info: line(1), warn: line(2), error: line(3) });

    class TextEncoder {
        get encoding() {
            return 'utf-8';
        }

        encode(text = '') {
            return native.encode(String(text).toWellFormed(), 'utf8');
        }
    }

    class TextDecoder {
        #fatal;

        constructor(label = 'utf-8', options = {}) {
            if (!/^\s*utf-?8\s*$/i.test(label)) throw new RangeError('TextDecoder knows utf-8 only');
            this.#fatal = !!options.fatal;
        }

        get encoding() {
            return 'utf-8';
        }

        decode(bytes = new Uint8Array(0)) {
            if (bytes instanceof ArrayBuffer) bytes = new Uint8Array(bytes);
            else if (!(bytes instanceof Uint8Array)) bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
            const text = native.decode(bytes, 'utf8');
            if (this.#fatal && text.includes('\ufffd')) throw new TypeError('The encoded data was not valid utf-8');
            return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
        }
    }

    global('TextEncoder', TextEncoder);
    global('TextDecoder', TextDecoder);
    global('Buffer', Buffer);

    global('btoa', function btoa(text) {
        text = String(text);
        if (/[^\0-\xff]/.test(text)) throw new TypeError('btoa: a character is not of Latin1');
        return native.decode(native.encode(text, 'latin1'), 'base64');
    });
    global('atob', function atob(text) {
        text = String(text).replace(/[\t\n\f\r ]/g, '');
        if (text.length % 4 === 0) text = text.replace(/==?$/, '');
        if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) throw new TypeError('atob: not base64');
        return native.decode(native.encode(text, 'base64'), 'latin1');
    });

    // Of runtime 1.0: text of bytes, or of their encoded form.
    Object.defineProperty(String, 'bytesFrom', {
        value: function bytesFrom(value, encoding) {
            const bytes = typeof value === 'string' ? Buffer.from(value, encoding) : Buffer.from(value);
            const text = bytes.toString('utf8');
            return text.includes('\ufffd') ? bytes.toString('latin1') : text;
        },
        writable: true,
        configurable: true,
    });

    // Its own state would be that of the build in each call.
    Object.defineProperty(Math, 'random', {
        value: function random() {
            return native.random();
        },
        writable: true,
        configurable: true,
    });

    // There is no eval in CloudFront Functions (`Function` stays: each function's constructor is it); clocks other than Date
    // would stand at the build's time.
    for (const name of ['performance', 'eval']) delete globalThis[name];

    global('require', function require(name) {
        const short = String(name).replace(/^node:/, '');
        if (['crypto', 'path', 'process', 'querystring', 'url', 'util'].includes(short) && parts[short]) return parts[short];
        if (short === 'buffer') return { Buffer };
        if (short === 'cloudfront') return parts.cloudfront;
        throw new Error(native.refusal(String(name)));
    });
    return null;
})
