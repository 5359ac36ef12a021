'use strict';
// One source for all tests, since each takes seconds to compile. The path says what is tried.
const querystring = require('querystring');
const crypto = require('node:crypto');
const url = require('url');
const util = require('util');
const path = require('path');

const debug = process.env.NODE_ENV === 'development';
const answer = (body) => ({ status: '200', body: typeof body === 'string' ? body : JSON.stringify(body) });

function checks() {
    const failed = [];
    const is = (name, actual, expected) => {
        if (JSON.stringify(actual) !== JSON.stringify(expected)) failed.push(name + ': ' + JSON.stringify(actual));
    };
    const throws = (name, run, word) => {
        try {
            run();
            failed.push(name + ': nothing thrown');
        } catch (error) {
            if (!String(error).includes(word)) failed.push(name + ': ' + error);
        }
    };
    const u = new URL('HTTPS://user:pa%20ss@Example.COM:8443/a/../b/./c%2ed?x=1&y=a b#frag ment');
    is('href', u.href, 'https://user:pa%20ss@example.com:8443/b/c%2ed?x=1&y=a%20b#frag%20ment');
    is('parts', [u.protocol, u.username, u.host, u.hostname, u.port, u.pathname, u.search, u.hash, u.origin],
        ['https:', 'user', 'example.com:8443', 'example.com', '8443', '/b/c%2ed', '?x=1&y=a%20b', '#frag%20ment', 'https://example.com:8443']);
    // https://url.spec.whatwg.org/, and web-platform-tests' urltestdata.json
    for (const [input, base, href] of [
        ['http://example\t.\norg', 'http://example.org/foo/bar', 'http://example.org/'],
        ['http:foo.com', 'http://example.org/foo/bar', 'http://example.org/foo/foo.com'],
        ['\t   :foo.com   \n', 'http://example.org/foo/bar', 'http://example.org/foo/:foo.com'],
        [' foo.com  ', 'http://example.org/foo/bar', 'http://example.org/foo/foo.com'],
        ['http://f:0/c', undefined, 'http://f:0/c'],
        ['http://f:00000000000080/c', undefined, 'http://f/c'],
        ['#β', 'http://example.org/foo/bar', 'http://example.org/foo/bar#%CE%B2'],
        ['?q#', 'http://example.org/foo/bar?x', 'http://example.org/foo/bar?q#'],
        ['..', 'http://example.org/foo/bar/x', 'http://example.org/foo/'],
        ['../../../../b', 'http://example.org/foo/bar', 'http://example.org/b'],
        ['//server/file', 'https://example.org/', 'https://server/file'],
        ['\\x\\y', 'http://example.org/foo', 'http://example.org/x/y'],
        ['http://example.com/foo/%2e%2e/%2E.bar', undefined, 'http://example.com/%2E.bar'],
        ['http://example.com/foo%', undefined, 'http://example.com/foo%'],
        ['http://www/foo?Ä=ö', undefined, 'http://www/foo?%C3%84=%C3%B6'],
        ['http://[::1]:80/a', undefined, 'http://[::1]/a'],
        ['mailto:a@b.c?x', undefined, 'mailto:a@b.c?x'],
        ['data:text/plain,a b', undefined, 'data:text/plain,a b'],
        ['http://a/b?', undefined, 'http://a/b?'],
    ]) {
        const got = new URL(input, base).href.replace(/[?#]$/, '');
        is('url ' + input, got, href.replace(/[?#]$/, ''));
    }
    for (const bad of ['', '/a', 'http://', 'http://a b/', 'http://a:99999/', 'http://a:b/', 'http://[::1', 'http://256.1.1.1/', 'http://a%zz/']) {
        throws('url ' + bad, () => new URL(bad), 'Invalid URL');
    }
    is('canParse', [URL.canParse('http://a/'), URL.canParse('/a')], [true, false]);
    u.searchParams.append('z', 'ü&=');
    u.searchParams.delete('x');
    u.pathname = '/new path';
    u.port = '443';
    u.hash = '';
    is('set', String(u), 'https://user:pa%20ss@example.com/new%20path?y=a+b&z=%C3%BC%26%3D');
    u.search = 'k=v';
    is('search', [u.searchParams.get('k'), JSON.stringify({ u })], ['v', '{"u":"https://user:pa%20ss@example.com/new%20path?k=v"}']);
    const p = new URLSearchParams('?b=2&a=1&b=3&c&d=%zz+x&e=%C3%BC');
    is('params', [p.get('b'), p.getAll('b'), p.get('none'), p.has('c'), p.get('d'), p.get('e'), p.size], ['2', ['2', '3'], null, true, '%zz x', 'ü', 6]);
    p.set('b', '9');
    p.sort();
    is('sorted', p.toString(), 'a=1&b=9&c=&d=%25zz+x&e=%C3%BC');
    is('of', [new URLSearchParams({ a: 1 }).toString(), new URLSearchParams([['a', 'b']]).toString(), [...new URLSearchParams('a=b&c=d')]],
        ['a=1', 'a=b', [['a', 'b'], ['c', 'd']]]);
    const old = url.parse('https://u:p@Host.com:81/p/a?q=1&q=2#h', true);
    is('url.parse', [old.protocol, old.auth, old.host, old.hostname, old.port, old.pathname, old.query.q, old.path, old.hash],
        ['https:', 'u:p', 'host.com:81', 'host.com', '81', '/p/a', ['1', '2'], '/p/a?q=1&q=2', '#h']);
    is('url.parse path', [url.parse('/a?b').pathname, url.parse('/a?b').query, url.parse('/a').host], ['/a', 'b', null]);
    is('url.format', url.format({ protocol: 'https', hostname: 'a.b', pathname: '/c', query: { d: 'e f' } }), 'https://a.b/c?d=e%20f');
    is('url.resolve', [url.resolve('/one/two', 'three'), url.resolve('http://a/b', '/c')], ['/one/three', 'http://a/c']);
    is('util', [util.format('%s=%d %j', 'a', 1, { b: 2 }), util.isDeepStrictEqual({ a: [1] }, { a: [1] }), util.inspect('a')],
        ['a=1 {"b":2}', true, "'a'"]);
    is('path', [path.extname('/a/b.tar.gz'), path.basename('/a/b.html', '.html'), path.dirname('/a/b'), path.join('/a', '../b', 'c/'), path.parse('/a/b.c').name],
        ['.gz', 'b', '/a', '/b/c/', 'b']);
    is('crypto', crypto.createHash('sha256').update('abc').digest('hex').slice(0, 8), 'ba7816bf');
    is('querystring', querystring.stringify({ a: ['1', '2'] }), 'a=1&a=2');
    is('module', [typeof module, typeof exports.handler, typeof global, debug], ['object', 'function', 'object', false]);
    return failed;
}

const cases = {
    '/event': async (event) => answer(event),
    '/library': async () => answer(checks().join('\n') || 'ok'),
    '/same': (event, context, callback) => callback(null, event.Records[0].cf.request),
    '/touched': async (event) => {
        JSON.stringify(event);
        return event.Records[0].cf.request;
    },
    '/succeed': (event, context) => context.succeed(event.Records[0].cf.request),
    '/env': async () => answer([process.env.NAME, process.env.NUMBER, process.env.NONE === undefined]),
    '/headers': async ({ Records: [{ cf }] }) => {
        const { headers } = cf.request;
        headers['x-new'] = [{ value: '1' }, { key: 'X-New', value: '2' }];
        headers['x-many'] = [{ key: 'x-MANY', value: 'one' }];
        headers.accept[0].value = 'text/html';
        headers['x-gone'] = [];
        return cf.request;
    },
    '/truncated': async ({ Records: [{ cf }] }) => answer([cf.request.body.inputTruncated, cf.request.body.data]),
    '/no-body': async ({ Records: [{ cf }] }) => answer([cf.request.body === undefined]),
    '/remove-body': async ({ Records: [{ cf }] }) => {
        cf.request.body = { action: 'replace', data: '' };
        return cf.request;
    },
    '/fetch': async () => {
        const response = await fetch('https://api.example.com/v1?a=1', { method: 'post', body: 'hi', headers: { 'X-A': '1' } });
        return answer([response.status, response.ok, response.headers.get('x-b'), await response.json()]);
    },
    '/fetch-failed': async () => answer(await fetch('https://other.example.com/').catch((error) => String(error))),
    // At origin-request.
    '/origin': async ({ Records: [{ cf }] }) => answer(cf.request.origin),
    '/origin-path': async ({ Records: [{ cf }] }) => {
        cf.request.origin.custom.path = '/v2';
        cf.request.origin.custom.readTimeout = 3;
        return cf.request;
    },
    '/origin-evil': async ({ Records: [{ cf }] }) => {
        cf.request.origin.custom.domainName = 'evil.test';
        return cf.request;
    },
    '/origin-oai': async ({ Records: [{ cf }] }) => {
        cf.request.origin = { s3: { domainName: 'b.s3.amazonaws.com', authMethod: 'origin-access-identity', region: 'us-east-1', path: '' } };
        return cf.request;
    },
    // What fails.
    '/throws': () => undefined.value,
    '/rejects': async () => {
        throw new RangeError('not today');
    },
    '/calls-back': (event, context, callback) => callback(new TypeError('back')),
    '/text': (event, context, callback) => callback('no error object'),
    '/never': () => undefined,
    '/null': (event, context, callback) => callback(null, null),
    '/the-event': async (event) => event,
    '/status': async () => ({ status: 'two hundred' }),
    '/encoding': async () => ({ status: '200', body: 'a', bodyEncoding: 'hex' }),
    '/base64': async () => ({ status: '200', body: 'a*', bodyEncoding: 'base64' }),
    '/upper': async () => ({ status: '200', headers: { 'X-A': [{ value: 'a' }] } }),
    '/no-array': async () => ({ status: '200', headers: { 'x-a': { value: 'a' } } }),
    '/forbidden': async () => ({ status: '200', headers: { connection: [{ value: 'close' }] } }),
    '/read-only': async ({ Records: [{ cf }] }) => {
        cf.request.headers.host = [{ key: 'Host', value: 'other.example' }];
        return cf.request;
    },
    '/method': async ({ Records: [{ cf }] }) => {
        cf.request.method = 'PUT';
        return cf.request;
    },
    '/edge-fact': async ({ Records: [{ cf }] }) => {
        cf.request.headers['cloudfront-viewer-country'] = [{ key: 'CloudFront-Viewer-Country', value: 'XX' }];
        return cf.request;
    },
};

Object.assign(cases, {
    '/custom': async ({ Records: [{ cf }] }) => {
        cf.request.origin.custom.customHeaders['x-cust'] = [{ key: 'X-Cust', value: 'c' }];
        return cf.request;
    },
    '/custom-via': async ({ Records: [{ cf }] }) => {
        cf.request.origin.custom.customHeaders.via = [{ key: 'Via', value: '1.1 x' }];
        return cf.request;
    },
    '/no-status': async () => ({ statusCode: 302, headers: {} }),
});

exports.handler = (event, context, callback) => {
    const { request, response } = event.Records[0].cf;
    if (response === undefined) return cases[request.uri](event, context, callback);
    if (request.uri === '/status') response.status = '404';
    else if (request.uri === '/body') response.body = 'new';
    else if (request.uri === '/renamed') response.headers['last-modified'] = [response.headers['x-amz-meta-last-modified'][0]];
    else if (request.uri === '/event') response.headers['x-event'] = [{ key: 'X-Event', value: JSON.stringify(response) }];
    else if (request.uri === '/fresh') {
        callback(null, { status: response.status, headers: { server: [{ key: 'Server', value: 'edge' }] } });
        return undefined;
    }
    callback(null, response);
    return undefined;
};
