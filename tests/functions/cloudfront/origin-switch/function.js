import cf from 'cloudfront';

// Europe has an origin of its own; who tries the next version is sent to it; reports have two.
function handler(event) {
    const request = event.request;
    const country = request.headers['cloudfront-viewer-country'];
    if (request.cookies.next && request.cookies.next.value === '1') {
        cf.selectRequestOriginById('next');
    } else if (request.uri.startsWith('/reports/')) {
        cf.createRequestOriginGroup({
            originIds: ['reports', 'reports-copy'],
            failoverCriteria: { statusCodes: [500, 502, 503] }
        });
    } else if (country && ['DE', 'AT', 'FR', 'NL'].includes(country.value)) {
        cf.updateRequestOrigin({
            domainName: 'eu.origin.example.com',
            originPath: '/eu',
            customHeaders: { 'x-region': 'eu' },
            timeouts: { readTimeout: 10, connectionTimeout: 2 }
        });
    }
    return request;
}
