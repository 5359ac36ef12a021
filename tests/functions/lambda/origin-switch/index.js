'use strict';

// From the bucket to a server for who is signed in, and the other way round for pictures.
exports.handler = async (event) => {
    const request = event.Records[0].cf.request;
    const cookies = (request.headers.cookie ?? []).map((header) => header.value).join('; ');

    if (request.origin.s3 && /(^|; )session=/.test(cookies)) {
        delete request.origin.s3;
        request.origin.custom = {
            domainName: 'app.example.com',
            port: 443,
            protocol: 'https',
            path: '',
            sslProtocols: ['TLSv1.2'],
            readTimeout: 5,
            keepaliveTimeout: 5,
            customHeaders: { 'x-from-edge': [{ key: 'X-From-Edge', value: '1' }] },
        };
        request.headers.host = [{ key: 'Host', value: 'app.example.com' }];
    } else if (request.origin.custom && request.uri.startsWith('/images/')) {
        request.origin = {
            s3: {
                domainName: 'images-example.s3.eu-central-1.amazonaws.com',
                region: 'eu-central-1',
                authMethod: 'none',
                path: '/originals',
                customHeaders: {},
            },
        };
        request.headers.host = [{ key: 'Host', value: 'images-example.s3.eu-central-1.amazonaws.com' }];
    }
    return request;
};
