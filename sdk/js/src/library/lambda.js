// The event of Lambda@Edge, how its handlers are called, and what is made of their results.
//
// As with CloudFront Functions nothing is read before it is touched ("Lambda@Edge event structure").
(function (native, parts) {
    'use strict';
    const { Buffer } = parts.buffer;
    const { fields, change, fact } = parts.watched;
    const own = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

    // Marks what was not touched.
    const UNREAD = Symbol('unread');
    const STAGES = ['viewer-request', 'origin-request', 'origin-response', 'viewer-response'];
    const ORIGIN_REQUEST = 1, ORIGIN_RESPONSE = 2, VIEWER_RESPONSE = 3;
    const METHOD = 0, PATH = 1, AUTHORITY = 2, ADDRESS = 3, DISTRIBUTION = 4, REQUEST_ID = 5;

    let stage = 0;
    let event, request, response;
    let address = UNREAD, method = UNREAD, uri = UNREAD, query = UNREAD, headers = UNREAD, body = UNREAD, origin = UNREAD;
    let status = UNREAD, description = UNREAD, outHeaders = UNREAD;
    // What is given: of the request with what was looked at, of the response the object of its header fields.
    const givenHeaders = fields(true);
    let given;

    function refuse(what) {
        throw new TypeError(what);
    }

    function text(value, where) {
        if (typeof value !== 'string') refuse(where + ' has to be a string');
        return value;
    }

    function object(value, where) {
        if (value === null || typeof value !== 'object') refuse(where + ' has to be an object');
        return value;
    }

    // --- the event

    function requestBody() {
        const read = native.requestBody();
        if (read === null || read === undefined) return undefined;
        const [data, inputTruncated] = read;
        if (data === '' && (native.fact(METHOD) === 'GET' || native.fact(METHOD) === 'HEAD')) return undefined;
        return { inputTruncated, action: 'read-only', encoding: 'base64', data };
    }

    function currentOrigin() {
        const said = native.currentOrigin();
        return said === null || said === undefined ? undefined : JSON.parse(said);
    }

    // No header that the configuration has the origin sent: it may be a secret.
    function shownOrigin() {
        const own = currentOrigin();
        if (own === undefined) return undefined;
        const readTimeout = Math.ceil(own['read-timeout'] / 1000);
        if (own.region !== undefined) {
            const { host, path, region } = own;
            return { s3: { authMethod: 'none', customHeaders: {}, domainName: host, path, readTimeout, region } };
        }
        return {
            custom: {
                customHeaders: {},
                domainName: own.host,
                keepaliveTimeout: Math.ceil(own['keepalive-timeout'] / 1000),
                path: own.path,
                port: own.port,
                protocol: own.scheme,
                readTimeout,
                sslProtocols: ['TLSv1.2'],
            },
        };
    }

    function makeRequest() {
        const made = {
            get clientIp() {
                return address === UNREAD ? native.fact(ADDRESS) : address;
            },
            set clientIp(value) {
                address = value;
            },
            get headers() {
                return headers === UNREAD ? (headers = givenHeaders.proxy) : headers;
            },
            set headers(value) {
                headers = value;
            },
            get method() {
                return method === UNREAD ? native.fact(METHOD) : method;
            },
            set method(value) {
                method = value;
            },
            get querystring() {
                return query === UNREAD ? native.query() || '' : query;
            },
            set querystring(value) {
                query = value;
            },
            get uri() {
                return uri === UNREAD ? (uri = native.fact(PATH)) : uri;
            },
            set uri(value) {
                uri = value;
            },
        };
        if (stage < 2) {
            Object.defineProperty(made, 'body', {
                get: () => (body === UNREAD ? (body = requestBody()) : body),
                set: (value) => (body = value),
                enumerable: true,
                configurable: true,
            });
        }
        if (stage === ORIGIN_REQUEST || stage === ORIGIN_RESPONSE) {
            Object.defineProperty(made, 'origin', {
                get: () => (origin === UNREAD ? (origin = shownOrigin()) : origin),
                set: (value) => (origin = value),
                enumerable: true,
                configurable: true,
            });
        }
        return made;
    }

    function makeResponse() {
        return {
            get headers() {
                return outHeaders === UNREAD ? (outHeaders = given = native.responseHeaders(true)) : outHeaders;
            },
            set headers(value) {
                outHeaders = value;
            },
            get status() {
                return status === UNREAD ? String(native.status()) : status;
            },
            set status(value) {
                status = value;
            },
            get statusDescription() {
                return description === UNREAD ? native.reason(native.status()) : description;
            },
            set statusDescription(value) {
                description = value;
            },
        };
    }

    function makeEvent(nth) {
        stage = nth;
        parts.node.begin();
        request = makeRequest();
        const cf = {
            get config() {
                const made = fact(fact({}, 'distributionDomainName', AUTHORITY), 'distributionId', DISTRIBUTION);
                made.eventType = STAGES[stage];
                return fact(made, 'requestId', REQUEST_ID);
            },
            request,
        };
        if (stage >= 2) cf.response = response = makeResponse();
        event = { Records: [{ cf }] };
        return event;
    }

    // --- the call

    // "Define Lambda function handler in Node.js": a promise counts, else the callback. A value that is returned without
    // either is nobody's result.
    function call(nth, handler) {
        const event = makeEvent(nth);
        return new Promise((resolve, reject) => {
            const callback = (error, result) => (error === null || error === undefined ? resolve(result) : reject(error));
            const context = {
                callbackWaitsForEmptyEventLoop: true,
                functionName: 'handler',
                functionVersion: '1',
                get awsRequestId() {
                    return native.fact(REQUEST_ID);
                },
                getRemainingTimeInMillis: () => 1000,
                done: callback,
                succeed: resolve,
                fail: (error) => reject(error === undefined ? new Error('context.fail') : error),
            };
            const returned = handler(event, context, callback);
            if (returned !== null && typeof returned === 'object' && typeof returned.then === 'function') returned.then(resolve, reject);
            else if (returned !== undefined && handler.length < 3) resolve({ [UNREAD]: true });
        });
    }

    // --- results

    function code(value) {
        const number = typeof value === 'string' && /^[0-9]{3}$/.test(value) ? Number(value) : value;
        if (typeof number !== 'number') refuse("`status` has to be a string of three digits, as in '200'");
        return number;
    }

    function content(value, encoding, where) {
        if (value === undefined || value === null) return '';
        text(value, where);
        if (encoding === 'base64') {
            if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value)) refuse(where + ' is not base64');
            return Buffer.from(value, 'base64');
        }
        if (encoding !== undefined && encoding !== 'text') refuse("the encoding of " + where + " has to be 'text' or 'base64'");
        return value;
    }

    function headersOf(result) {
        return result.headers === undefined || result.headers === null ? {} : object(result.headers, '`headers`');
    }

    function finishBody(wanted) {
        if (wanted === undefined || wanted === null) return;
        object(wanted, '`body`');
        const action = wanted.action === undefined ? 'read-only' : wanted.action;
        if (action !== 'read-only' && action !== 'replace') refuse("`body.action` has to be 'read-only' or 'replace'");
        if (action === 'replace') native.setBody(content(wanted.data, wanted.encoding === undefined ? 'base64' : wanted.encoding, '`body.data`'));
    }

    function lines(table, where) {
        const all = [];
        for (const [name, entries] of Object.entries(table === undefined ? {} : object(table, where))) {
            if (!Array.isArray(entries)) refuse(where + '.' + name + ' has to be an array');
            for (const entry of entries) all.push([name, text(object(entry, where + '.' + name).value, where + '.' + name + '.value')]);
        }
        return all;
    }

    function finishOrigin(wanted) {
        if (wanted === undefined || wanted === null) return;
        object(wanted, '`origin`');
        const isBucket = wanted.s3 !== undefined;
        if (isBucket === (wanted.custom !== undefined)) refuse('`origin` has to have exactly one of `custom` and `s3`');
        const now = object(isBucket ? wanted.s3 : wanted.custom, '`origin`');
        const was = currentOrigin() || {};
        const host = text(now.domainName, '`origin.domainName`');
        const scheme = isBucket ? 'https' : text(now.protocol, '`origin.custom.protocol`');
        const port = isBucket ? 443 : now.port;
        const wasBucket = was.region !== undefined;
        const change = {};
        if (isBucket !== wasBucket || host !== was.host || (!isBucket && (scheme !== was.scheme || port !== was.port))) {
            if (isBucket && now.authMethod !== undefined && now.authMethod !== 'none') {
                refuse('a bucket that needs a signature cannot be chosen so: declare it as an origin, and bind the function to a behavior that has it');
            }
            Object.assign(change, { host, scheme, port });
        }
        const path = now.path === undefined ? '' : text(now.path, '`origin.path`');
        if (change.host !== undefined || path !== was.path) change.path = path;
        const headers = lines(now.customHeaders, '`origin.customHeaders`');
        // Those of the configuration are not shown, so that a function cannot hand them back.
        if (headers.length > 0) Object.assign(change, { headers, 'keep-headers': true });
        if (now.readTimeout !== undefined && now.readTimeout !== Math.ceil(was['read-timeout'] / 1000)) {
            change['read-timeout'] = Math.round(now.readTimeout * 1000);
        }
        if (Object.keys(change).length > 0) native.chooseOrigin(JSON.stringify({ origin: change }));
    }

    function finishRequest(result) {
        const same = result === request;
        const untouched = (now, name) => same && now === UNREAD && own(result, name);
        if (!untouched(method, 'method') && result.method !== undefined && result.method !== native.fact(METHOD)) refuse('`method` is read-only');
        if (!untouched(address, 'clientIp') && result.clientIp !== undefined && result.clientIp !== native.fact(ADDRESS)) refuse('`clientIp` is read-only');
        if (!untouched(uri, 'uri')) {
            if (result.uri === undefined) refuse('the result is neither a request, with `uri`, nor a response, with `status`');
            const path = text(result.uri, '`uri`');
            if (path !== native.fact(PATH)) native.setPath(path);
        }
        if (!untouched(query, 'querystring')) {
            const wanted = result.querystring === undefined ? '' : text(result.querystring, '`querystring`');
            if (wanted !== (native.peekQuery() || '')) native.setQuery(wanted === '' ? undefined : wanted);
        }
        if (!untouched(headers, 'headers')) change(givenHeaders, headersOf(result), stage, true);
        if (!untouched(body, 'body')) finishBody(result.body);
        if (stage === ORIGIN_REQUEST && !untouched(origin, 'origin')) finishOrigin(result.origin);
    }

    function finishResponse(result) {
        const same = result === response;
        if (!(same && status === UNREAD && own(result, 'status'))) {
            const now = code(result.status);
            if (now !== native.status()) {
                if (stage === VIEWER_RESPONSE) refuse('`status` is read-only at viewer-response: change it at origin-response');
                native.setStatus(now);
            }
        }
        if (!(same && outHeaders === UNREAD && own(result, 'headers'))) {
            const wanted = headersOf(result);
            native.changeResponseHeaders(wanted, wanted === given ? undefined : stage, true);
        }
        if (result.body !== undefined) {
            if (stage === VIEWER_RESPONSE) refuse('a body cannot be set at viewer-response: set it at origin-response');
            native.setBody(content(result.body, result.bodyEncoding, '`body`'));
        }
    }

    function finish(nth, result) {
        if (result === null || typeof result !== 'object') {
            refuse('the function gave ' + (result === null ? 'null' : typeof result) + ' as its result, not a request or a response');
        }
        if (result[UNREAD]) refuse('the function returned a value, but is neither async nor calls back: nobody gets that value');
        if (result === event) refuse('the function returned the event: return `event.Records[0].cf.request` or a response');
        if (nth >= 2) {
            if (result === request) refuse('the function returned the request: at ' + STAGES[nth] + ', return the response');
            finishResponse(result);
        } else if (result !== request && result.status !== undefined) {
            const fields = result.headers === undefined || result.headers === null ? {} : object(result.headers, '`headers`');
            native.respond(code(result.status), fields, [], content(result.body, result.bodyEncoding, '`body`'), true);
        } else {
            finishRequest(result);
        }
    }

    return { call, finish };
})
