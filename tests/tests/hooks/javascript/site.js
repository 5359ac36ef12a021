// What many sites have, in one function: a redirect by country, clean URLs, flags from a store, security headers.
import cf from 'cloudfront';

async function handler(event) {
    var request = event.request;
    if (event.response) {
        event.response.headers['strict-transport-security'] = { value: 'max-age=63072000' };
        event.response.headers['x-request'] = { value: event.context.requestId };
        return event.response;
    }
    switch (request.uri) {
        case '/country':
            var country = request.headers['x-country'] ? request.headers['x-country'].value : 'none';
            return {
                statusCode: 302,
                statusDescription: 'Found',
                headers: { location: { value: 'https://site.test/' + country.toLowerCase() + '/' } },
            };
        case '/flag':
            return { statusCode: 200, body: await cf.kvs().get('flag') };
        case '/throw':
            throw new Error('not today');
        case '/wrong':
            return 'text';
        case '/backup':
            cf.selectRequestOriginById('backup');
            return request;
    }
    if (request.uri.endsWith('/')) request.uri += 'index.html';
    delete request.querystring.utm_source;
    return request;
}
