// `URL` and `URLSearchParams` (WHATWG URL), for hosts in ASCII, and the module `url`.
(function (native, parts) {
    'use strict';
    const { Buffer } = parts.buffer;
    const PORTS = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };
    const special = (protocol) => PORTS[protocol] !== undefined;

    const encode = (text, set) => text.toWellFormed().replace(set, (part) => [...new TextEncoder().encode(part)]
        .map((byte) => '%' + (byte < 16 ? '0' : '') + byte.toString(16).toUpperCase()).join(''));
    const FRAGMENT = /[\0-\x20"<>`\x7f]|[^\0-\x7f]+/g;
    const QUERY = /[\0-\x20"#<>\x7f]|[^\0-\x7f]+/g;
    const SPECIAL_QUERY = /[\0-\x20"#'<>\x7f]|[^\0-\x7f]+/g;
    const PATH = /[\0-\x20"#<>?`{}^\x7f]|[^\0-\x7f]+/g;
    const USER = /[\0-\x20"#<>?`{}/:;=@[\\\]^|\x7f]|[^\0-\x7f]+/g;

    function invalid(text) {
        const error = new TypeError('Invalid URL');
        error.code = 'ERR_INVALID_URL';
        error.input = text;
        return error;
    }

    // --- parameters

    const decode = (text) => Buffer.from(text.replace(/\+/g, ' ').toWellFormed().replace(/%[0-9a-f]{2}|[^\0-\x7f]+|%/gi, (part) => {
        if (part.length === 3 && part[0] === '%') return String.fromCharCode(parseInt(part.slice(1), 16));
        return part === '%' ? part : Buffer.from(part).toString('latin1');
    }), 'latin1').toString('utf8');
    const plus = (text) => encodeURIComponent(text.toWellFormed()).replace(/[!'()~]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase()).replace(/%20/g, '+');

    function parsePairs(text) {
        const pairs = [];
        for (const part of text.split('&')) {
            if (part === '') continue;
            const at = part.indexOf('=');
            pairs.push(at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]);
        }
        return pairs;
    }

    class URLSearchParams {
        #pairs = [];
        #changed;

        constructor(init = '', changed) {
            this.#changed = changed;
            if (init === null || typeof init !== 'object') this.#pairs = parsePairs(String(init).replace(/^\?/, ''));
            else if (typeof init[Symbol.iterator] === 'function') {
                for (const pair of init) {
                    const [name, value, ...more] = pair;
                    if (value === undefined || more.length > 0) throw new TypeError('Each query pair must be an iterable [name, value] tuple');
                    this.#pairs.push([String(name), String(value)]);
                }
            } else for (const name of Object.keys(init)) this.#pairs.push([name, String(init[name])]);
        }

        #after() {
            if (typeof this.#changed === 'function') this.#changed(this.toString());
        }

        get size() {
            return this.#pairs.length;
        }

        append(name, value) {
            this.#pairs.push([String(name), String(value)]);
            this.#after();
        }

        delete(name, value) {
            this.#pairs = this.#pairs.filter((pair) => pair[0] !== String(name) || (value !== undefined && pair[1] !== String(value)));
            this.#after();
        }

        get(name) {
            const pair = this.#pairs.find((pair) => pair[0] === String(name));
            return pair === undefined ? null : pair[1];
        }

        getAll(name) {
            return this.#pairs.filter((pair) => pair[0] === String(name)).map((pair) => pair[1]);
        }

        has(name, value) {
            return this.#pairs.some((pair) => pair[0] === String(name) && (value === undefined || pair[1] === String(value)));
        }

        set(name, value) {
            const first = this.#pairs.find((pair) => pair[0] === String(name));
            if (first === undefined) this.#pairs.push([String(name), String(value)]);
            else {
                first[1] = String(value);
                this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== String(name));
            }
            this.#after();
        }

        sort() {
            this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
            this.#after();
        }

        forEach(run, self) {
            for (const [name, value] of this.#pairs) run.call(self, value, name, this);
        }

        *keys() {
            for (const [name] of this.#pairs) yield name;
        }

        *values() {
            for (const [, value] of this.#pairs) yield value;
        }

        *entries() {
            for (const [name, value] of this.#pairs) yield [name, value];
        }

        [Symbol.iterator]() {
            return this.entries();
        }

        toString() {
            return this.#pairs.map(([name, value]) => plus(name) + '=' + plus(value)).join('&');
        }
    }

    // --- URLs

    function parseHost(text, isSpecial, whole) {
        if (text.startsWith('[')) {
            if (!/^\[[0-9a-f:.]+\]$/i.test(text)) throw invalid(whole);
            return text.toLowerCase();
        }
        if (!isSpecial) {
            if (/[\0\t\n\r #/<>?@[\\\]^|]/.test(text)) throw invalid(whole);
            return encode(text, /[\0-\x1f\x7f]|[^\0-\x7f]+/g);
        }
        let host;
        try {
            host = decodeURIComponent(text).toLowerCase();
        } catch {
            throw invalid(whole);
        }
        if (host === '' || /[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f]|[^\0-\x7f]/.test(host)) throw invalid(whole);
        const labels = host.split('.');
        if (/^[0-9]+$/.test(labels[labels.length - 1])) {
            if (labels.length !== 4 || !labels.every((label) => /^(0|[1-9][0-9]{0,2})$/.test(label) && Number(label) < 256)) throw invalid(whole);
        }
        return host;
    }

    function parsePath(text, isSpecial) {
        const out = [];
        const parts = (isSpecial ? text.replace(/\\/g, '/') : text).split('/');
        parts.forEach((part, i) => {
            const plain = part.replace(/%2e/gi, '.');
            const last = i === parts.length - 1;
            if (plain === '..') {
                if (out.length > 1) out.pop();
                if (last) out.push('');
            } else if (plain === '.') {
                if (last) out.push('');
            } else out.push(encode(part, PATH));
        });
        const path = out.join('/');
        return path.startsWith('/') ? path : '/' + path;
    }

    function parseAuthority(url, text, whole) {
        const at = text.lastIndexOf('@');
        if (at >= 0) {
            const [, user, password] = /^([^:]*):?([^]*)$/.exec(text.slice(0, at));
            url.username = encode(user, USER);
            url.password = encode(password, USER);
        }
        const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::([^]*))?$/.exec(text.slice(at + 1)) || [];
        if (host === undefined || (port !== undefined && !/^[0-9]*$/.test(port)) || Number(port) > 65535) throw invalid(whole);
        url.hostname = parseHost(host, special(url.protocol), whole);
        url.port = port === undefined || port === '' || String(Number(port)) === PORTS[url.protocol] ? '' : String(Number(port));
    }

    function parse(input, base) {
        const whole = String(input).toWellFormed();
        let text = whole.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
        const url = { protocol: '', username: '', password: '', hostname: '', port: '', pathname: '', search: '', hash: '' };
        const hash = text.indexOf('#');
        if (hash >= 0) {
            url.hash = hash === text.length - 1 ? '' : '#' + encode(text.slice(hash + 1), FRAGMENT);
            text = text.slice(0, hash);
        }
        const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text);
        const relative = scheme === null || (base !== undefined && special(base.protocol) && scheme[0].toLowerCase() === base.protocol && !/^[/\\]/.test(text.slice(scheme[0].length)));
        if (scheme === null && base === undefined) throw invalid(whole);
        if (scheme !== null) text = text.slice(scheme[0].length);
        url.protocol = relative ? base.protocol : scheme[0].toLowerCase();
        const isSpecial = special(url.protocol);
        const mark = text.indexOf('?');
        const query = mark < 0 ? undefined : text.slice(mark + 1);
        if (mark >= 0) text = text.slice(0, mark);
        if (isSpecial) text = text.replace(/\\/g, '/');
        if (query) url.search = '?' + encode(query, isSpecial ? SPECIAL_QUERY : QUERY);
        if (relative && !text.startsWith('//')) {
            for (const name of ['username', 'password', 'hostname', 'port']) url[name] = base[name];
            if (text === '') {
                url.pathname = base.pathname;
                if (query === undefined) url.search = base.search;
            } else url.pathname = parsePath(text.startsWith('/') ? text : base.pathname.replace(/[^/]*$/, '') + text, isSpecial);
            return url;
        }
        if (isSpecial && url.protocol !== 'file:') text = '//' + text.replace(/^\/+/, '');
        if (text.startsWith('//')) {
            const end = text.indexOf('/', 2);
            const authority = text.slice(2, end < 0 ? undefined : end);
            if (url.protocol !== 'file:' || authority !== '') parseAuthority(url, authority, whole);
            url.pathname = end < 0 ? (isSpecial ? '/' : '') : parsePath(text.slice(end), isSpecial);
            url.slashes = true;
        } else url.pathname = isSpecial || text.startsWith('/') ? parsePath(text, isSpecial) : encode(text, /[\0-\x1f\x7f]|[^\0-\x7f]+/g);
        return url;
    }

    const SETTERS = {
        protocol: (url, text) => {
            const protocol = text.replace(/:[^]*$/, '').toLowerCase() + ':';
            if (/^[a-z][a-z0-9+.-]*:$/.test(protocol) && special(protocol) === special(url.protocol)) url.protocol = protocol;
            if (url.port === PORTS[url.protocol]) url.port = '';
        },
        username: (url, text) => (url.username = encode(text, USER)),
        password: (url, text) => (url.password = encode(text, USER)),
        hostname: (url, text) => {
            try {
                url.hostname = parseHost(text, special(url.protocol), text);
            } catch {
                // As it was.
            }
        },
        port: (url, text) => {
            const port = /^[0-9]*/.exec(text)[0];
            if (port === '' ? text === '' : Number(port) < 65536) url.port = port === '' || String(Number(port)) === PORTS[url.protocol] ? '' : String(Number(port));
        },
        pathname: (url, text) => (url.pathname = parsePath(text.startsWith('/') ? text : '/' + text, special(url.protocol))),
        search: (url, text) => {
            const query = text.replace(/^\?/, '');
            url.search = query === '' ? '' : '?' + encode(query, special(url.protocol) ? SPECIAL_QUERY : QUERY);
        },
        hash: (url, text) => (url.hash = text.replace(/^#/, '') === '' ? '' : '#' + encode(text.replace(/^#/, ''), FRAGMENT)),
    };

    class URL {
        #url;
        #params;

        constructor(input, base) {
            this.#url = parse(input, base === undefined ? undefined : parse(base));
        }

        static canParse(input, base) {
            try {
                return new URL(input, base) instanceof URL;
            } catch {
                return false;
            }
        }

        get searchParams() {
            if (this.#params === undefined) {
                this.#params = new URLSearchParams(this.#url.search, (text) => (this.#url.search = text === '' ? '' : '?' + text));
            }
            return this.#params;
        }

        get origin() {
            return special(this.#url.protocol) && this.#url.protocol !== 'file:' ? this.#url.protocol + '//' + this.host : 'null';
        }

        get host() {
            return this.#url.hostname + (this.#url.port === '' ? '' : ':' + this.#url.port);
        }

        set host(text) {
            const url = { ...this.#url };
            try {
                parseAuthority(url, String(text).replace(/[/?#][^]*$/, '').replace(/^.*@/, ''), text);
            } catch {
                return;
            }
            this.#url.hostname = url.hostname;
            if (/:\d+$/.test(text)) this.#url.port = url.port;
        }

        get href() {
            const { protocol, username, password, hostname, pathname, search, hash, slashes } = this.#url;
            const user = username === '' && password === '' ? '' : username + (password === '' ? '' : ':' + password) + '@';
            const authority = hostname !== '' || slashes || special(protocol) ? '//' + user + this.host : '';
            return protocol + authority + pathname + search + hash;
        }

        set href(text) {
            this.#url = parse(text);
            this.#params = undefined;
        }

        toString() {
            return this.href;
        }

        toJSON() {
            return this.href;
        }

        static {
            for (const name of Object.keys(SETTERS)) {
                Object.defineProperty(URL.prototype, name, {
                    get() {
                        return this.#url[name];
                    },
                    set(value) {
                        SETTERS[name](this.#url, String(value));
                        if (name === 'search') this.#params = undefined;
                    },
                    enumerable: true,
                    configurable: true,
                });
            }
        }
    }


    // --- the module `url`: what is older than `URL`, for URLs and for parts of them

    function legacyParse(text, parseQuery) {
        const [, protocol, slashes, authority, pathname, search, hash] =
            /^(?:([a-z][a-z0-9+.-]*:))?(?:(\/\/)([^/?#]*))?([^?#]*)(\?[^#]*)?(#[^]*)?$/i.exec(String(text).trim());
        const at = authority === undefined ? -1 : authority.lastIndexOf('@');
        const host = authority === undefined ? null : authority.slice(at + 1).toLowerCase();
        const [, hostname, port] = host === null ? [null, null, null] : /^(.*?)(?::(\d*))?$/.exec(host);
        const query = search === undefined ? null : search.slice(1);
        const path = pathname === '' ? (slashes ? '/' : null) : pathname;
        return {
            protocol: protocol === undefined ? null : protocol.toLowerCase(),
            slashes: slashes === undefined ? null : true,
            auth: at < 0 ? null : decodeURIComponent(authority.slice(0, at)),
            host,
            port: port || null,
            hostname,
            hash: hash || null,
            search: search || (parseQuery ? '' : null),
            query: parseQuery ? parts.querystring.parse(query || '') : query,
            pathname: path,
            path: (path || '') + (search || '') || null,
            href: String(text).trim(),
        };
    }

    function legacyFormat(url) {
        if (typeof url === 'string') return url;
        if (url instanceof URL) return url.href;
        const protocol = url.protocol ? url.protocol.replace(/:?$/, ':') : '';
        const host = url.host || (url.hostname ? url.hostname + (url.port ? ':' + url.port : '') : '');
        const slashes = url.slashes || (host && (protocol === '' || special(protocol))) ? '//' : '';
        const query = url.query && typeof url.query === 'object' ? parts.querystring.stringify(url.query) : '';
        const search = url.search || (query ? '?' + query : '');
        const path = url.pathname || '';
        const auth = url.auth ? encodeURIComponent(url.auth).replace(/%3A/i, ':') + '@' : '';
        return protocol + (host ? slashes + auth + host : '') + (host && path && !path.startsWith('/') ? '/' + path : path) +
            (search && !search.startsWith('?') ? '?' + search : search) + (url.hash ? url.hash.replace(/^#?/, '#') : '');
    }

    function resolve(from, to) {
        const base = new URL(from, 'resolve://');
        const url = new URL(to, base.protocol === 'resolve:' ? 'http://resolve' + from : from);
        return base.protocol === 'resolve:' && url.host === 'resolve' ? url.pathname + url.search + url.hash : url.href;
    }

    for (const [name, value] of [['URL', URL], ['URLSearchParams', URLSearchParams]]) {
        Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
    }
    return { URL, URLSearchParams, parse: legacyParse, format: legacyFormat, resolve };
})
