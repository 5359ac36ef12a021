// The event of CloudFront Functions, and what is made of a function's result.
//
// Nothing of a request is read before the function touches it. What it has not touched has not changed; what it has is
// compared with what it was. An instance lives for one call, so all state is in variables here.
(function (native, parts) {
    'use strict';
    const isArray = Array.isArray;
    const { Buffer } = parts.buffer;
    const { watched, fields, change, fact } = parts.watched;
    const own = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

    // Marks what was not touched.
    const UNREAD = Symbol('unread');
    const STAGES = ['viewer-request', 'origin-request', 'origin-response', 'viewer-response'];
    const METHOD = 0, PATH = 1, AUTHORITY = 2, ADDRESS = 3, DISTRIBUTION = 4, REQUEST_ID = 5;

    let stage = 0;
    let event, request, response;
    let method = UNREAD, uri = UNREAD, query = UNREAD, headers = UNREAD, cookies = UNREAD;
    let status = UNREAD, description = UNREAD, outHeaders = UNREAD, outCookies = UNREAD;
    // The response's object of header fields, as it was given.
    let given;
    // What the function is given of the request: each with its object and what it looked at.
    const givenHeaders = fields(false);
    const givenQuery = watched(native.lookAtQueryParam, native.query, true);
    const givenCookies = watched(native.lookAtCookie, native.requestCookies, true);

    function refuse(what) {
        throw new TypeError(what);
    }

    // { name: { value, multiValue } } of pairs. Values stay as they were sent.
    function table(pairs, extra, object = {}) {
        for (const pair of pairs) {
            const name = pair[0];
            const line = { value: pair[1] };
            if (extra !== undefined && pair[2] !== undefined) line[extra] = pair[2];
            if (!own(object, name)) {
                Object.defineProperty(object, name, { value: line, writable: true, enumerable: true, configurable: true });
                continue;
            }
            const entry = object[name];
            if (entry.multiValue === undefined) entry.multiValue = [Object.assign({}, entry)];
            entry.multiValue.push(line);
        }
        return object;
    }

    function text(value, where) {
        if (typeof value !== 'string') refuse(where + ' has to be a string');
        return value;
    }

    // The lines that an entry means, where `before` are those that it was made of: what was changed of `multiValue` wins;
    // otherwise `value` is the first line's.
    function lines(entry, before, where, write) {
        if (entry === null || typeof entry !== 'object') refuse(where + ' has to be an object with the string `value`');
        const many = entry.multiValue;
        if (many === undefined) return [write(entry, where)];
        if (!isArray(many)) refuse(where + ': `multiValue` has to be an array');
        const list = many.map((line) => write(line, where));
        const same = before !== undefined && list.length === before.length && list.every((line, i) => line === before[i]);
        if (same && list.length > 0) list[0] = write(entry, where);
        return list;
    }

    function grouped(pairs, write) {
        const groups = new Map();
        for (const pair of pairs) {
            const line = write(pair);
            const group = groups.get(pair[0]);
            if (group === undefined) groups.set(pair[0], [line]);
            else group.push(line);
        }
        return groups;
    }

    // --- query string

    function queryPairs(raw) {
        if (!raw) return [];
        const pairs = [];
        for (const part of raw.split('&')) {
            if (part === '') continue;
            const at = part.indexOf('=');
            pairs.push(at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]);
        }
        return pairs;
    }

    // What an object of names and values says, as pairs of text. `what` is one of them, for errors.
    function joinPairs(object, pairs, what) {
        const before = grouped(pairs, (pair) => pair[1]);
        const parts = [];
        for (const name of Object.keys(object)) {
            const where = what + ' `' + name + '`';
            for (const value of lines(object[name], before.get(name), where, (line) => text(line.value, where))) {
                parts.push(name + '=' + value);
            }
        }
        return parts;
    }

    function joinQuery(object, pairs) {
        return joinPairs(object, pairs, 'query parameter').join('&');
    }

    function finishQuery(wanted) {
        const raw = native.peekQuery();
        if (wanted === givenQuery.proxy) wanted = givenQuery.target;
        if (typeof wanted === 'string') {
            if (wanted !== (raw || '')) native.setQuery(wanted === '' ? undefined : wanted);
            return;
        }
        if (wanted === undefined || wanted === null) wanted = {};
        if (typeof wanted !== 'object') refuse('`querystring` has to be an object or a string');
        const pairs = queryPairs(raw);
        const now = joinQuery(wanted, pairs);
        if (now !== joinQuery(table(pairs), pairs)) native.setQuery(now === '' ? undefined : now);
    }

    // --- cookies

    function cookiePairs(values) {
        const pairs = [];
        for (const value of values) {
            for (const part of value.split(';')) {
                const at = part.indexOf('=');
                if (at > 0) pairs.push([part.slice(0, at).trim(), part.slice(at + 1).trim()]);
            }
        }
        return pairs;
    }

    // What is no pair of name and value goes along as it was: `cookies` does not show it.
    function looseCookies(values) {
        return values.flatMap((value) => value.split(';')).map((part) => part.trim()).filter((part) => part !== '' && !(part.indexOf('=') > 0));
    }

    function joinCookies(object, pairs, loose) {
        return [...loose, ...joinPairs(object, pairs, 'cookie')].join('; ');
    }

    function finishCookies(wanted) {
        if (wanted === undefined || wanted === null) wanted = {};
        if (typeof wanted !== 'object') refuse('`cookies` has to be an object');
        if (wanted === givenCookies.proxy) wanted = givenCookies.target;
        const lines = native.peekCookies();
        const pairs = cookiePairs(lines);
        // Who takes all cookies away means these too.
        const loose = pairs.length === 0 || Object.keys(wanted).length > 0 ? looseCookies(lines) : [];
        const now = joinCookies(wanted, pairs, loose);
        if (now !== joinCookies(table(pairs), pairs, loose)) native.setLines('cookie', now === '' ? [] : [now]);
    }

    // `name=value; attributes`
    function setCookiePairs(values) {
        const pairs = [];
        for (const value of values) {
            const end = value.indexOf(';');
            const first = end < 0 ? value : value.slice(0, end);
            const at = first.indexOf('=');
            if (at <= 0) continue;
            const attributes = end < 0 ? undefined : value.slice(end + 1).trim();
            pairs.push([first.slice(0, at).trim(), first.slice(at + 1).trim(), attributes]);
        }
        return pairs;
    }

    function setCookie(value, attributes) {
        return attributes === undefined || attributes === '' ? value : value + '; ' + attributes;
    }

    function setCookieLines(object, pairs) {
        const before = grouped(pairs, (pair) => setCookie(pair[1], pair[2]));
        const all = [];
        for (const name of Object.keys(object)) {
            const where = 'cookie `' + name + '`';
            const write = (line) => {
                const attributes = line.attributes === undefined ? undefined : text(line.attributes, where + ': `attributes`');
                return setCookie(text(line.value, where), attributes);
            };
            for (const line of lines(object[name], before.get(name), where, write)) all.push(name + '=' + line);
        }
        return all;
    }

    function finishSetCookies(wanted) {
        if (wanted === undefined || wanted === null) wanted = {};
        if (typeof wanted !== 'object') refuse('`cookies` has to be an object');
        const before = native.responseCookies();
        const pairs = setCookiePairs(before);
        const now = setCookieLines(wanted, pairs);
        const old = setCookieLines(table(pairs, 'attributes'), pairs);
        if (now.length !== old.length || now.some((line, i) => line !== old[i])) {
            const loose = before.filter((line) => !(line.split(';', 1)[0].indexOf('=') > 0));
            native.setLines('set-cookie', now.length === 0 ? [] : [...loose, ...now]);
        }
    }

    // --- the event

    const requestMethods = {
        rawQueryString() {
            return native.query();
        },
    };

    function makeRequest() {
        return {
            __proto__: requestMethods,
            get method() {
                return method === UNREAD ? native.fact(METHOD) : method;
            },
            set method(value) {
                method = value;
            },
            get uri() {
                return uri === UNREAD ? (uri = native.fact(PATH)) : uri;
            },
            set uri(value) {
                uri = value;
            },
            get querystring() {
                if (query === UNREAD) {
                    table(queryPairs(native.peekQuery()), undefined, givenQuery.target);
                    query = givenQuery.proxy;
                }
                return query;
            },
            set querystring(value) {
                query = value;
            },
            get headers() {
                return headers === UNREAD ? (headers = givenHeaders.proxy) : headers;
            },
            set headers(value) {
                headers = value;
            },
            get cookies() {
                if (cookies === UNREAD) {
                    table(cookiePairs(native.peekCookies()), undefined, givenCookies.target);
                    cookies = givenCookies.proxy;
                }
                return cookies;
            },
            set cookies(value) {
                cookies = value;
            },
        };
    }

    function makeResponse() {
        return {
            get statusCode() {
                return status === UNREAD ? native.status() : status;
            },
            set statusCode(value) {
                status = value;
            },
            get statusDescription() {
                return description === UNREAD ? native.reason(native.status()) : description;
            },
            set statusDescription(value) {
                description = value;
            },
            get headers() {
                return outHeaders === UNREAD ? (outHeaders = given = native.responseHeaders(false)) : outHeaders;
            },
            set headers(value) {
                outHeaders = value;
            },
            get cookies() {
                if (outCookies === UNREAD) outCookies = table(setCookiePairs(native.responseCookies()), 'attributes');
                return outCookies;
            },
            set cookies(value) {
                outCookies = value;
            },
        };
    }

    function makeEvent(nth) {
        stage = nth;
        parts.helpers.start(nth);
        if (stage === 1 || stage === 2) throw new Error('CloudFront Functions run at viewer-request and viewer-response');
        request = makeRequest();
        event = {
            version: '1.0',
            get context() {
                const made = fact(fact({}, 'distributionDomainName', AUTHORITY), 'distributionId', DISTRIBUTION);
                made.eventType = STAGES[stage];
                return fact(made, 'requestId', REQUEST_ID);
            },
            get viewer() {
                return fact({}, 'ip', ADDRESS);
            },
            request,
        };
        if (stage === 3) event.response = response = makeResponse();
        return event;
    }

    // --- results

    function body(value) {
        if (value === undefined || value === null) return '';
        if (typeof value === 'string') return value;
        if (typeof value !== 'object') refuse('`body` has to be a string or an object');
        const data = value.data === undefined ? '' : text(value.data, '`body.data`');
        if (value.encoding === 'base64') return Buffer.from(data, 'base64');
        if (value.encoding !== undefined && value.encoding !== 'text') refuse("`body.encoding` has to be 'text' or 'base64'");
        return data;
    }

    function object(value, where) {
        if (value === undefined || value === null) return {};
        if (typeof value !== 'object') refuse(where + ' has to be an object');
        return value;
    }

    function headersOf(result) {
        return object(result.headers, '`headers`');
    }

    function code(value) {
        if (typeof value !== 'number') refuse('`statusCode` has to be a number');
        return value;
    }

    function finishRequest(result) {
        const same = result === request;
        if (!(same && method === UNREAD) && result.method !== undefined && result.method !== native.fact(METHOD)) {
            refuse('`method` is read-only');
        }
        if (!(same && uri === UNREAD && own(result, 'uri'))) {
            if (result.uri === undefined) refuse('the result is neither a request, with `uri`, nor a response, with `statusCode`');
            const path = text(result.uri, '`uri`');
            if (path !== native.fact(PATH)) native.setPath(path);
        }
        if (!(same && query === UNREAD && own(result, 'querystring'))) finishQuery(result.querystring);
        if (!(same && headers === UNREAD && own(result, 'headers'))) {
            change(givenHeaders, headersOf(result), stage, false);
        }
        if (!(same && cookies === UNREAD && own(result, 'cookies'))) finishCookies(result.cookies);
        parts.helpers.finish();
    }

    function finishResponse(result) {
        const same = result === response;
        if (!(same && status === UNREAD && own(result, 'statusCode'))) {
            const now = code(result.statusCode);
            if (now !== native.status()) native.setStatus(now);
        }
        if (!(same && outHeaders === UNREAD && own(result, 'headers'))) {
            const wanted = headersOf(result);
            native.changeResponseHeaders(wanted, wanted === given ? undefined : stage, false);
        }
        if (!(same && outCookies === UNREAD && own(result, 'cookies'))) finishSetCookies(result.cookies);
        if (result.body !== undefined) native.setBody(body(result.body));
    }

    function finish(nth, result) {
        if (result === null || typeof result !== 'object') {
            refuse('the function returned ' + (result === null ? 'null' : typeof result) + ', not a request or a response');
        }
        if (result === event) refuse('the function returned the event: return `event.request` or a response');
        if (nth === 3) {
            if (result === request) refuse('the function returned the request: at viewer-response, return a response');
            finishResponse(result);
        } else if (result !== request && result.statusCode !== undefined) {
            const cookies = setCookieLines(object(result.cookies, '`cookies`'), []);
            const headers = object(result.headers, '`headers`');
            native.respond(code(result.statusCode), headers, cookies, body(result.body));
        } else {
            finishRequest(result);
        }
    }

    return { call: (nth, handler) => handler(makeEvent(nth)), finish };
})
