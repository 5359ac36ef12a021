import cf from 'cloudfront';

function handler(event) {
    const request = event.request;
    if (request.uri.startsWith('/other/') || request.headers['x-other']) {
        cf.updateRequestOrigin({
            domainName: '127.0.0.1',
            originPath: '/eu',
            customHeaders: { 'x-region': 'eu' },
            customOriginConfig: { port: PORT, protocol: 'http' },
        });
    } else if (request.uri === '/path') {
        cf.updateRequestOrigin({ originPath: '/v2' });
    } else if (request.uri === '/group') {
        cf.createRequestOriginGroup({ originIds: ['failing', 'main'], failoverCriteria: { statusCodes: [503] } });
    } else if (request.uri === '/no-group') {
        cf.createRequestOriginGroup({ originIds: ['main', 'failing'] });
    } else if (request.uri === '/evil') {
        cf.updateRequestOrigin({ domainName: 'evil.test' });
    }
    return request;
}
