// The module `crypto`: hashes and HMACs.
(function (native, parts) {
    'use strict';
    const { Buffer, encoding, wrap } = parts.buffer;

    class Digester {
        #run;
        #parts = [];
        #done = false;

        constructor(run) {
            this.#run = run;
        }

        update(data, name) {
            if (this.#done) throw new Error('Digest already called');
            if (typeof data === 'string') {
                const known = encoding(name);
                this.#parts.push(known === 'utf8' ? data.toWellFormed() : native.encode(data.toWellFormed(), known));
            } else if (data instanceof Uint8Array) {
                // As it is now: the buffer may change before the end.
                this.#parts.push(new Uint8Array(data));
            } else if (ArrayBuffer.isView(data)) {
                this.#parts.push(new Uint8Array(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
            } else {
                throw new TypeError('data has to be a string or a buffer');
            }
            return this;
        }

        digest(name) {
            if (this.#done) throw new Error('Digest already called');
            this.#done = true;
            let data = this.#parts.length === 1 ? this.#parts[0] : '';
            if (this.#parts.length > 1) {
                data = Buffer.concat(this.#parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
            }
            const digest = this.#run(data);
            return name === undefined || name === 'buffer' ? wrap(digest) : native.decode(digest, encoding(name));
        }
    }

    function known(name) {
        if (!native.knows(String(name))) {
            throw new Error('Unknown hash function ' + name + ': there is md5, sha1, sha256, sha384 and sha512');
        }
        return String(name);
    }

    return {
        createHash(name) {
            name = known(name);
            return new Digester((data) => native.hash(name, data));
        },
        createHmac(name, key) {
            name = known(name);
            if (typeof key !== 'string' && !(key instanceof Uint8Array)) {
                throw new TypeError('the key has to be a string or a buffer');
            }
            const secret = typeof key === 'string' ? key.toWellFormed() : new Uint8Array(key);
            return new Digester((data) => native.hmac(name, secret, data));
        },
        randomBytes(size) {
            return wrap(native.randomBytes(size));
        },
        timingSafeEqual(a, b) {
            if (a.length !== b.length) throw new RangeError('Input buffers must have the same byte length');
            return native.equal(a, b);
        },
    };
})
