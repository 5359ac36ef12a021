// One source for all tests, since each takes seconds to compile. The path says what is tried.
import crypto from 'crypto';
import qs from 'querystring';
import { Buffer as Bytes } from 'node:buffer';
import cf from 'cloudfront';

const made = new Map([['build', 1]]);
let calls = 0;

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
    // FIPS 180-2 and RFC 1321, 2202, 4231
    const hash = (name, text, form) => crypto.createHash(name).update(text).digest(form);
    is('md5', hash('md5', 'abc', 'hex'), '900150983cd24fb0d6963f7d28e17f72');
    is('sha1', hash('sha1', 'abc', 'hex'), 'a9993e364706816aba3e25717850c26c9cd0d89d');
    is('sha256', hash('sha256', 'abc', 'hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    is('sha256 url', hash('sha256', 'abc', 'base64url'), 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
    is('parts', crypto.createHash('sha1').update('a').update(Bytes.from('b')).update('63', 'hex').digest('hex'),
        'a9993e364706816aba3e25717850c26c9cd0d89d');
    const jefe = (name) => crypto.createHmac(name, 'Jefe').update('what do ya want for nothing?').digest('hex');
    is('hmac md5', jefe('md5'), '750c783e6ab0b503eaa86e310a5db738');
    is('hmac sha1', jefe('sha1'), 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79');
    is('hmac sha256', jefe('sha256'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
    is('long key', crypto.createHmac('sha1', Bytes.alloc(80, 0xaa))
        .update('Test Using Larger Than Block-Size Key - Hash Key First').digest('hex'),
        'aa4ae5e15272d00e95705637ce8a3b55ed402112');
    throws('no hash', () => crypto.createHash('sha3'), 'sha3');
    throws('twice', () => { const h = crypto.createHash('md5'); h.digest(); h.digest(); }, 'already');
    is('equal', [crypto.timingSafeEqual(Bytes.from('a'), Bytes.from('a')), crypto.timingSafeEqual(Bytes.from('a'), Bytes.from('b'))],
        [true, false]);
    is('require', require('crypto') === crypto, true);
    throws('require fs', () => require('fs'), "'fs' cannot be imported");

    is('parse', qs.parse('a=1&b=x%20y&a=2&c&d=%zz&e=1+2'), { a: ['1', '2'], b: 'x y', c: '', d: '%zz', e: '1 2' });
    is('parse max', Object.keys(qs.parse('a=1&b=2&c=3', '&', '=', { maxKeys: 2 })), ['a', 'b']);
    is('stringify', qs.stringify({ a: ['1', 2], b: 'x y', c: true, d: null }), 'a=1&a=2&b=x%20y&c=true&d=');
    is('escape', [qs.escape('a&b'), qs.unescape('a%26b')], ['a%26b', 'a&b']);

    is('buffer', Bytes.from('grüße').toString('hex'), '6772c3bcc39f65');
    is('base64', [Bytes.from('a?>').toString('base64'), Bytes.from('a?>').toString('base64url')], ['YT8+', 'YT8-']);
    is('from base64', Bytes.from('YT8-', 'base64').toString(), 'a?>');
    is('padding', [Bytes.from('a').toString('base64'), Bytes.from('YQ==', 'base64').length, Bytes.from('YQ', 'base64').length], ['YQ==', 1, 1]);
    is('concat', Bytes.concat([Bytes.from('a'), Bytes.from('b')]).toString(), 'ab');
    is('slice', Bytes.from('abcd').slice(1, 3).toString(), 'bc');
    is('json', JSON.stringify(Bytes.from([1, 2])), '{"type":"Buffer","data":[1,2]}');
    is('ints', [Bytes.from([1, 2, 3, 4]).readUInt32BE(0), Bytes.from([1, 2]).readUInt16LE(0)], [0x01020304, 0x0201]);
    const b = Bytes.alloc(4);
    b.writeInt16BE(-2, 1);
    is('written', [...b], [0, 255, 254, 0]);
    is('compare', [Bytes.compare(Bytes.from('a'), Bytes.from('b')), Bytes.from('a').equals(Bytes.from('a'))], [-1, true]);
    is('indexOf', [Bytes.from('abcabc').indexOf('ca'), Bytes.from('abc').includes('x')], [2, false]);
    is('bytes', [Bytes.isBuffer(Bytes.from('a')), Bytes.from('a') instanceof Uint8Array, Bytes.byteLength('ü')], [true, true, 2]);
    throws('encoding', () => Bytes.from('a', 'utf99'), 'utf99');

    is('btoa', [btoa('a\xff'), atob('Yf8=')], ['Yf8=', 'a\xff']);
    throws('btoa wide', () => btoa('€'), 'Latin1');
    throws('atob', () => atob('a'), 'base64');
    is('text', new TextDecoder().decode(new TextEncoder().encode('grüße €')), 'grüße €');
    is('bytesFrom', [String.bytesFrom([0x61, 0x62]), String.bytesFrom('YWI', 'base64url')], ['ab', 'ab']);
    is('kept', [made.get('build'), calls], [1, 1]);
    is('absent', [typeof eval, typeof performance, typeof setTimeout, typeof fetch, typeof process],
        ['undefined', 'undefined', 'undefined', 'undefined', 'undefined']);
    const later = Bytes.from('abc');
    const early = crypto.createHash('md5').update(later);
    later.fill(0);
    is('hash of what it was', early.digest('hex'), '900150983cd24fb0d6963f7d28e17f72');
    console.log('half a character: \ud83d');
    is('half a character', [...new TextEncoder().encode('\ud83d'), ...Bytes.from('\ude00')], [239, 191, 189, 239, 191, 189]);
    is('date', Date.now() === new Date().getTime(), true);
    is('regexp', 'a1b2'.replace(/(?<letter>[a-z])(?<digit>\d)/g, '$<digit>$<letter>'), '1a2b');
    return failed;
}

const answer = (body) => ({ statusCode: 200, body: typeof body === 'string' ? body : JSON.stringify(body) });

const cases = {
    '/event': (event) => answer(event),
    '/library': () => answer(checks().join('\n') || 'ok'),
    '/country': ({ request }) => answer(request.headers['cloudfront-viewer-country'].value),
    '/same': (event) => event.request,
    '/touched': (event) => {
        JSON.stringify(event);
        return event.request;
    },
    '/copy': (event) => ({ ...event.request }),
    '/uri': (event) => {
        event.request.uri = '/index.html';
        return event.request;
    },
    '/raw': (event) => answer([event.request.rawQueryString() === undefined, event.request.rawQueryString()]),
    '/headers': ({ request }) => {
        request.headers['x-new'] = { value: 'n' };
        request.headers['x-lines'] = { value: 'ignored', multiValue: [{ value: '1' }, { value: '2' }] };
        request.headers['x-many'].value = 'first';
        request.headers.accept.value = 'text/html';
        delete request.headers['x-gone'];
        return request;
    },
    '/query': ({ request }) => {
        request.querystring.a.value = 'z';
        request.querystring.n = { value: '7' };
        delete request.querystring.gone;
        return request;
    },
    '/query-text': ({ request }) => {
        request.querystring = 'b=2&a=1&b=1';
        return request;
    },
    '/query-none': ({ request }) => {
        request.querystring = {};
        return request;
    },
    '/cookies': ({ request }) => {
        request.cookies.a.value = '9';
        request.cookies.c = { value: 'n' };
        return request;
    },
    '/cookies-none': ({ request }) => {
        request.cookies = {};
        return request;
    },
    '/redirect': () => ({
        statusCode: 302,
        statusDescription: 'Found',
        headers: { location: { value: 'https://example.com/' } },
        cookies: { s: { value: '1', attributes: 'Secure; Path=/' }, t: { value: '2' } },
    }),
    '/body64': () => ({ statusCode: 200, body: { encoding: 'base64', data: 'AP8=' } }),
    '/origin': ({ request }) => {
        cf.selectRequestOriginById('backup');
        return request;
    },
    '/update': ({ request }) => {
        cf.selectRequestOriginById('gone');
        cf.updateRequestOrigin({
            domainName: 'EU.example.com',
            originPath: '/eu',
            hostHeader: 'www.example.com',
            customHeaders: { 'x-region': 'eu' },
            timeouts: { readTimeout: 10 },
            customOriginConfig: { port: 8443, protocol: 'https', sslProtocols: ['TLSv1.2'] },
        });
        return request;
    },
    '/update-path': ({ request }) => {
        cf.updateRequestOrigin({ originPath: '/eu' });
        return request;
    },
    '/update-other': () => cf.updateRequestOrigin({ domainName: 'evil.test' }),
    '/update-caught': ({ request }) => {
        try {
            cf.updateRequestOrigin({ domainName: 'evil.test' });
        } catch {
            cf.selectRequestOriginById('backup', { hostHeader: 'b.example.com' });
        }
        return request;
    },
    '/update-answer': () => {
        cf.updateRequestOrigin({ originPath: '/eu' });
        return answer('no origin');
    },
    '/update-bucket': () => cf.updateRequestOrigin({ originAccessControlConfig: { enabled: true } }),
    '/group': ({ request }) => {
        cf.createRequestOriginGroup({ originIds: ['a', { originId: 'b' }], failoverCriteria: { statusCodes: [500, 503] } });
        return request;
    },
    '/group-of-one': () => cf.createRequestOriginGroup({ originIds: ['a'] }),
    '/fresh': ({ request }) => {
        request.headers = { accept: { value: 'text/html' } };
        return request;
    },
    '/fresh-deleted': ({ request }) => {
        delete request.headers.host;
        return request;
    },
    '/async': async ({ request }) => {
        await Promise.all([1, Promise.resolve(2)]);
        request.uri = '/later';
        return request;
    },
    '/kvs': async () => {
        const store = cf.kvs();
        const missing = await store.get('none').catch((error) => String(error));
        return answer([await store.get('text'), await store.get('json', { format: 'json' }), await store.exists('text'),
            await cf.kvs('flags').exists('none'), missing, await store.meta()]);
    },
    '/random': () => {
        const numbers = [Math.random(), Math.random(), Math.random()];
        const fine = numbers.every((n) => n >= 0 && n < 1) && new Set(numbers).size === 3;
        return answer([fine, calls, Date.now()]);
    },
    '/log': ({ request }) => {
        console.log('hello', { a: 1 }, 2);
        console.error('oh');
        return request;
    },
    // What fails.
    '/throws': () => undefined.value,
    '/rejects': async () => {
        throw new RangeError('not today');
    },
    '/hangs': () => new Promise(() => {}),
    '/nothing': () => undefined,
    '/the-event': (event) => event,
    '/method': ({ request }) => {
        request.method = 'POST';
        return request;
    },
    '/number': ({ request }) => {
        request.headers['x-number'] = { value: 1 };
        return request;
    },
    '/status-text': () => ({ statusCode: '200' }),
    '/read-only': ({ request }) => {
        request.headers.host = { value: 'other.example' };
        return request;
    },
    '/upper': ({ request }) => {
        request.headers['X-Upper'] = { value: '1' };
        return request;
    },
    '/loop': () => {
        for (;;);
    },
    '/regexp': () => /^(a+)+$/.test('a'.repeat(40) + 'b'),
    '/string': () => {
        let text = 'x';
        for (;;) text += text;
    },
    '/objects': () => {
        const all = [];
        for (;;) all.push({ all });
    },
    '/deep': () => {
        const dive = (n) => dive(n + 1) + 1;
        return answer(String(dive(0)));
    },
    '/deep-caught': () => {
        const dive = (n) => dive(n + 1) + 1;
        try {
            dive(0);
        } catch (error) {
            return answer(error.name);
        }
    },
    '/deep-json': () => {
        let value = [];
        for (let i = 0; i < 20000; i++) value = [value];
        try {
            JSON.stringify(value);
        } catch (error) {
            return answer(error.name);
        }
    },
    '/garbage': () => {
        let sum = 0;
        for (let i = 0; i < 300000; i++) sum += { text: 'piece ' + i, list: [i, i] }.list.length;
        return answer(String(sum));
    },
};

async function handler(event) {
    calls += 1;
    const { response } = event;
    if (response) {
        if (event.request.uri === '/event') return { statusCode: 200, headers: { 'x-event': { value: JSON.stringify(event) } } };
        if (event.request.uri === '/fresh') return { statusCode: 200, headers: { 'content-type': { value: 'text/html' } } };
        if (event.request.uri === '/length') {
            delete response.headers['content-length'];
            return response;
        }
        if (event.request.uri === '/request') return event.request;
        response.statusCode = 404;
        response.headers['x-frame-options'] = { value: 'DENY' };
        delete response.headers['x-powered-by'];
        response.cookies.id = { value: 'new', attributes: 'Secure' };
        response.body = 'gone';
        return response;
    }
    return cases[event.request.uri](event);
}
