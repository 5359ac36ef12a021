// Cache-Control for browsers, by what kind of file it is, where the origin says nothing.
function handler(event) {
    var response = event.response;
    var headers = response.headers;
    var uri = event.request.uri;

    if (!headers['cache-control']) {
        if (/\.[0-9a-f]{8,}\.(js|css|woff2)$/.test(uri)) {
            headers['cache-control'] = { value: 'public, max-age=31536000, immutable' };
        } else if (uri.endsWith('/') || uri.endsWith('.html')) {
            headers['cache-control'] = { value: 'no-cache' };
        } else {
            headers['cache-control'] = { value: 'public, max-age=3600' };
        }
    }
    return response;
}
