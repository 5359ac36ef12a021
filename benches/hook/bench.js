// The hook of the side-by-side benchmark as a CloudFront Function: what src/lib.rs does, for both stages.
var SECRET = 'Bearer edge-secret-token-0123456789';

function handler(event) {
    if (event.response) {
        event.response.headers['x-edge-resp'] = { value: '1' };
        return event.response;
    }
    var request = event.request;
    var token = request.headers.authorization;
    if (!token || token.value !== SECRET) {
        return { statusCode: 403, statusDescription: 'Forbidden', body: 'forbidden\n' };
    }
    request.headers['x-edge-a'] = { value: 'edge-a' };
    request.headers['x-edge-b'] = { value: 'edge-b' };
    if (request.uri.startsWith('/a/')) {
        request.uri = '/b/' + request.uri.slice(3);
    }
    return request;
}
