'use strict';

// What the origin forgot to say, by the status and the kind of what it sends.
exports.handler = async (event) => {
    const { request, response } = event.Records[0].cf;
    if (response.headers['cache-control']) {
        return response;
    }
    const type = response.headers['content-type']?.[0]?.value ?? '';
    let value = 'no-store';
    if (response.status === '200') {
        value = /^(image|font)\//.test(type) ? 'public, max-age=604800' : 'public, max-age=60, stale-while-revalidate=600';
    } else if (Number(response.status) === 404 && request.method === 'GET') {
        value = 'public, max-age=5';
    }
    response.headers['cache-control'] = [{ key: 'Cache-Control', value }];
    return response;
};
