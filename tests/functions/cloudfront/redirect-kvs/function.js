import cf from 'cloudfront';

const kvsHandle = cf.kvs('11111111-2222-3333-4444-555555555555');

// Moved pages are in a store, so that a move needs no new function.
async function handler(event) {
    const request = event.request;
    const key = request.uri.toLowerCase().replace(/\/+$/, '') || '/';
    if (!(await kvsHandle.exists(key))) {
        return request;
    }
    const target = await kvsHandle.get(key, { format: 'string' });
    const raw = request.rawQueryString();
    const location = raw === undefined ? target : `${target}?${raw}`;
    return { statusCode: 308, statusDescription: 'Permanent Redirect', headers: { location: { value: location } } };
}
