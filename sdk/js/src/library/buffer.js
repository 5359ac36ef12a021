// `Buffer`, as far as CloudFront Functions have it: bytes in utf8, hex, base64 and base64url.
(function (native) {
    'use strict';
    const NAMES = {
        utf8: 'utf8', 'utf-8': 'utf8', hex: 'hex', base64: 'base64', base64url: 'base64url',
        latin1: 'latin1', binary: 'latin1', ascii: 'latin1',
    };

    function encoding(name) {
        if (name === undefined || name === null) return 'utf8';
        const known = NAMES[String(name).toLowerCase()];
        if (known === undefined) throw new TypeError('Unknown encoding: ' + name);
        return known;
    }

    function wrap(bytes) {
        return Object.setPrototypeOf(bytes, Buffer.prototype);
    }

    class Buffer extends Uint8Array {
        static from(value, second, third) {
            if (typeof value === 'string') return wrap(native.encode(value.toWellFormed(), encoding(second)));
            if (value instanceof ArrayBuffer) return new Buffer(value, second, third);
            if (value && value.type === 'Buffer' && Array.isArray(value.data)) value = value.data;
            if (value === null || typeof value !== 'object') {
                throw new TypeError('Buffer.from takes a string, an array, or a buffer');
            }
            const buffer = new Buffer(value.length >>> 0);
            for (let i = 0; i < buffer.length; i++) buffer[i] = value[i];
            return buffer;
        }

        static alloc(size, fill, name) {
            const buffer = new Buffer(size);
            return fill === undefined ? buffer : buffer.fill(fill, 0, size, name);
        }

        static allocUnsafe(size) {
            return new Buffer(size);
        }

        static isBuffer(value) {
            return value instanceof Buffer;
        }

        static isEncoding(name) {
            return NAMES[String(name).toLowerCase()] !== undefined;
        }

        static byteLength(value, name) {
            return typeof value === 'string' ? native.encode(value.toWellFormed(), encoding(name)).length : value.byteLength;
        }

        static concat(list, total) {
            if (total === undefined) {
                total = 0;
                for (const part of list) total += part.length;
            }
            const all = new Buffer(total);
            let at = 0;
            for (const part of list) {
                const room = total - at;
                if (room <= 0) break;
                all.set(part.length > room ? part.subarray(0, room) : part, at);
                at += part.length;
            }
            return all;
        }

        static compare(a, b) {
            const length = Math.min(a.length, b.length);
            for (let i = 0; i < length; i++) {
                if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
            }
            return Math.sign(a.length - b.length);
        }

        toString(name, start, end) {
            const whole = start === undefined && end === undefined;
            return native.decode(whole ? this : this.subarray(start, end), encoding(name));
        }

        toJSON() {
            return { type: 'Buffer', data: Array.from(this) };
        }

        equals(other) {
            return Buffer.compare(this, other) === 0;
        }

        compare(other) {
            return Buffer.compare(this, other);
        }

        // As in Node: what it gives is a view, not a copy.
        slice(start, end) {
            return this.subarray(start, end);
        }

        copy(target, to, start, end) {
            const part = this.subarray(start, end);
            const at = to >>> 0;
            const fits = part.subarray(0, Math.max(0, target.length - at));
            target.set(fits, at);
            return fits.length;
        }

        write(text, offset, length, name) {
            if (typeof offset === 'string') {
                name = offset;
                offset = 0;
                length = undefined;
            } else if (typeof length === 'string') {
                name = length;
                length = undefined;
            }
            const at = offset >>> 0;
            let bytes = native.encode(String(text).toWellFormed(), encoding(name));
            const room = Math.min(this.length - at, length === undefined ? Infinity : length);
            if (bytes.length > room) bytes = bytes.subarray(0, Math.max(0, room));
            this.set(bytes, at);
            return bytes.length;
        }

        fill(value, start, end, name) {
            if (typeof value !== 'string') return super.fill(value, start, end);
            if (typeof start === 'string') {
                name = start;
                start = undefined;
            }
            const bytes = native.encode(value.toWellFormed(), encoding(name));
            const to = end === undefined ? this.length : end;
            for (let i = start >>> 0, n = 0; i < to; i++, n++) this[i] = bytes.length ? bytes[n % bytes.length] : 0;
            return this;
        }

        indexOf(value, from, name) {
            if (typeof value === 'number') return super.indexOf(value, from);
            const wanted = typeof value === 'string' ? native.encode(value.toWellFormed(), encoding(name)) : value;
            outer: for (let i = from >>> 0; i + wanted.length <= this.length; i++) {
                for (let n = 0; n < wanted.length; n++) {
                    if (this[i + n] !== wanted[n]) continue outer;
                }
                return i;
            }
            return -1;
        }

        includes(value, from, name) {
            return this.indexOf(value, from, name) !== -1;
        }
    }

    // readUInt16BE and the like, of what DataView can do.
    for (const [name, view, size] of [
        ['Int8', 'Int8', 1], ['UInt8', 'Uint8', 1], ['Int16', 'Int16', 2], ['UInt16', 'Uint16', 2],
        ['Int32', 'Int32', 4], ['UInt32', 'Uint32', 4], ['Float', 'Float32', 4], ['Double', 'Float64', 8],
    ]) {
        for (const ending of size === 1 ? [''] : ['BE', 'LE']) {
            const little = ending === 'LE';
            const methods = {
                ['read' + name + ending](offset) {
                    return new DataView(this.buffer, this.byteOffset, this.length)['get' + view](offset >>> 0, little);
                },
                ['write' + name + ending](value, offset) {
                    const at = offset >>> 0;
                    new DataView(this.buffer, this.byteOffset, this.length)['set' + view](at, value, little);
                    return at + size;
                },
            };
            for (const method of Object.keys(methods)) {
                Object.defineProperty(Buffer.prototype, method, {
                    value: methods[method], writable: true, configurable: true,
                });
            }
        }
    }

    return { Buffer, encoding, wrap };
})
