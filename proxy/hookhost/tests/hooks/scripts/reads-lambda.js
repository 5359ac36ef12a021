// One handler for each path: what it looks at is in the test.
const functions = {
    '/sets': (request) => {
        request.headers['x-a'] = [{ value: '1' }];
        request.querystring = 'q=1';
    },
    '/reads': (request) => {
        request.headers['x-a'] = [{ value: request.headers.accept[0].value + request.headers.cookie[0].value }];
    },
    '/facts': (request) => request.headers['cloudfront-is-mobile-viewer'][0].value,
    '/query': (request) => request.querystring,
    '/keys': (request) => Object.keys(request.headers),
    '/config': (request, cf) => cf.config.eventType,
    '/config-id': (request, cf) => cf.config.requestId,
};

exports.handler = async (event) => {
    const { cf } = event.Records[0];
    functions[cf.request.uri](cf.request, cf);
    return cf.response || cf.request;
};
