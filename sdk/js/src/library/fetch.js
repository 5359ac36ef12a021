// `fetch` with `Headers` and `Response`: requests to origins that the binding grants. The edge waits for the whole answer, so a
// promise of it is settled as soon as it is there.
(function (native, parts) {
    'use strict';
    const { Buffer, wrap } = parts.buffer;
    const { URL } = parts.url;

    class Headers {
        #lines = new Map();

        constructor(init) {
            if (init === undefined || init === null) return;
            const pairs = typeof init[Symbol.iterator] === 'function' ? init : Object.entries(init);
            for (const [name, value] of pairs) this.append(name, value);
        }

        append(name, value) {
            const key = String(name).toLowerCase();
            const text = String(value).trim();
            const lines = this.#lines.get(key);
            if (lines === undefined) this.#lines.set(key, [text]);
            else lines.push(text);
        }

        delete(name) {
            this.#lines.delete(String(name).toLowerCase());
        }

        get(name) {
            const lines = this.#lines.get(String(name).toLowerCase());
            return lines === undefined ? null : lines.join(', ');
        }

        getSetCookie() {
            return [...(this.#lines.get('set-cookie') || [])];
        }

        has(name) {
            return this.#lines.has(String(name).toLowerCase());
        }

        set(name, value) {
            this.#lines.set(String(name).toLowerCase(), [String(value).trim()]);
        }

        forEach(run, self) {
            for (const [name, value] of this) run.call(self, value, name, this);
        }

        *entries() {
            for (const name of [...this.#lines.keys()].sort()) yield [name, this.get(name)];
        }

        *keys() {
            for (const [name] of this.entries()) yield name;
        }

        *values() {
            for (const [, value] of this.entries()) yield value;
        }

        [Symbol.iterator]() {
            return this.entries();
        }
    }

    function bytes(body) {
        if (body === undefined || body === null) return '';
        if (typeof body === 'string') return body.toWellFormed();
        if (body instanceof Uint8Array) return new Uint8Array(body);
        if (body instanceof ArrayBuffer) return new Uint8Array(body);
        if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
        if (body instanceof parts.url.URLSearchParams) return body.toString();
        throw new TypeError('a body has to be a string, a buffer or URLSearchParams');
    }

    class Response {
        #body;
        #used = false;

        constructor(body, init = {}) {
            const given = bytes(body);
            this.#body = typeof given === 'string' ? Buffer.from(given) : given;
            this.status = init.status === undefined ? 200 : init.status;
            this.statusText = init.statusText === undefined ? '' : init.statusText;
            this.headers = new Headers(init.headers);
            this.url = init.url === undefined ? '' : init.url;
            this.redirected = false;
            this.type = 'default';
        }

        get ok() {
            return this.status >= 200 && this.status < 300;
        }

        get bodyUsed() {
            return this.#used;
        }

        #take() {
            if (this.#used) throw new TypeError('Body is unusable: Body has already been read');
            this.#used = true;
            return this.#body;
        }

        async text() {
            return native.decode(this.#take(), 'utf8');
        }

        async json() {
            return JSON.parse(native.decode(this.#take(), 'utf8'));
        }

        async bytes() {
            return this.#take();
        }

        async arrayBuffer() {
            return new Uint8Array(this.#take()).buffer;
        }

        clone() {
            if (this.#used) throw new TypeError('Body is unusable: Body has already been read');
            return new Response(this.#body, { status: this.status, statusText: this.statusText, headers: this.headers, url: this.url });
        }
    }

    // Redirects are not followed: the edge does not.
    async function fetch(input, init = {}) {
        const url = new URL(String(input));
        if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('fetch failed: ' + url.protocol + ' is not asked');
        const method = init.method === undefined ? 'GET' : String(init.method).toUpperCase();
        const headers = new Headers(init.headers);
        if (typeof init.body === 'string' && !headers.has('content-type')) headers.set('content-type', 'text/plain;charset=UTF-8');
        if (init.body instanceof parts.url.URLSearchParams && !headers.has('content-type')) {
            headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8');
        }
        const answer = native.fetch(url.origin, method, url.pathname + url.search, [...headers], bytes(init.body));
        const { status } = answer;
        return new Response(wrap(answer.body), { status, statusText: native.reason(status), headers: answer.headers, url: url.href });
    }

    for (const [name, value] of Object.entries({ Headers, Response, fetch })) {
        Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
    }
    return null;
})
