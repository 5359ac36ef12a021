// A page of its own for a closed shop: status, body and cookies are changed at viewer-response.
function handler(event) {
    const response = event.response;
    if (response.headers['x-shop-state'] && response.headers['x-shop-state'].value === 'closed') {
        response.statusCode = 503;
        response.statusDescription = 'Closed';
        response.headers = { 'content-type': { value: 'text/html; charset=utf-8' }, 'retry-after': { value: '3600' } };
        response.cookies = { cart: { value: '', attributes: 'Path=/; Max-Age=0' } };
        response.body = { encoding: 'base64', data: btoa('<h1>Closed</h1>') };
    }
    return response;
}
