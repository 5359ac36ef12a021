// One function for each path: what it looks at is in the test.
const functions = {
    '/sets': (request) => {
        request.headers['x-a'] = { value: '1' };
        delete request.headers['x-gone'];
        request.cookies.c = { value: '1' };
        request.querystring.q = { value: '1' };
    },
    '/sets-the-same': (request) => {
        request.headers.accept = { value: '*/*' };
    },
    '/replaces': (request) => {
        request.headers = { 'x-a': { value: '1' } };
        request.querystring = 'q=2';
        request.cookies = {};
    },
    '/reads': (request) => {
        const same = request.headers.accept.value === '*/*' && 'x-many' in request.headers;
        request.headers['x-a'] = { value: String(same && !request.headers['x-none']) };
    },
    '/asks': (request) => request.headers.hasOwnProperty('accept') && Object.hasOwn(request.headers, 'x-none'),
    '/reads-what-it-set': (request) => {
        request.headers['x-a'] = { value: '1' };
        return request.headers['x-a'].value;
    },
    '/odd-names': (request) => [request.headers.Accept, request.headers[Symbol.iterator], request.headers['not a name'], request.headers.toString],
    '/facts': (request) => {
        const { headers } = request;
        headers['x-c'] = { value: headers['cloudfront-viewer-country'].value + headers['cloudfront-viewer-address'].value };
    },
    '/cookie': (request) => {
        request.headers['x-a'] = { value: request.cookies.a.multiValue.length + request.cookies.b.value };
    },
    '/cookies': (request) => Object.keys(request.cookies),
    '/parameter': (request) => request.querystring.x && request.querystring.x.value,
    '/parameters': (request) => JSON.stringify(request.querystring),
    '/raw': (request) => request.rawQueryString(),
    '/keys': (request) => Object.keys(request.headers),
    '/each': (request) => {
        for (const name in request.headers) if (name.startsWith('x-')) delete request.headers[name];
    },
    '/spread': (request) => {
        request.headers = { ...request.headers, 'x-a': { value: '1' } };
    },
    '/json': (request) => JSON.stringify(request.headers),
    '/freezes': (request) => Object.freeze(request.headers),
    '/context': (request, event) => event.context.eventType + event.viewer,
    '/context-id': (request, event) => event.context.requestId,
    '/context-host': (request, event) => event.context.distributionDomainName,
    '/address': (request, event) => event.viewer.ip,
    // What is there in the end, in order.
    '/order': (request) => {
        request.headers['x-last'] = { value: 'l' };
        request.headers.accept = { value: 'changed' };
        delete request.headers['x-gone'];
        return Object.entries(request.headers).map(([name, entry]) => name + '=' + (entry.multiValue || [entry]).map((line) => line.value)).join(' ');
    },
};

function handler(event) {
    const { request } = event;
    const said = functions[request.uri](request, event);
    if (request.uri === '/order') return { statusCode: 200, body: said };
    if (request.uri === '/asks' && said) throw new Error('x-none is not there');
    return request;
}
