// Viewers of some countries go to a site of their own.
function handler(event) {
    var request = event.request;
    var headers = request.headers;
    var host = headers.host.value;
    var sites = { DE: 'de', AT: 'de', FR: 'fr' };

    if (headers['cloudfront-viewer-country']) {
        var site = sites[headers['cloudfront-viewer-country'].value];
        if (site && !request.uri.startsWith('/' + site + '/')) {
            return {
                statusCode: 302,
                statusDescription: 'Found',
                headers: { location: { value: `https://${host}/${site}${request.uri}` } }
            };
        }
    }
    return request;
}
