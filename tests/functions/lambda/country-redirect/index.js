'use strict';

/* At origin-request, where the viewer's country is known. */
exports.handler = async (event, context) => {
    const request = event.Records[0].cf.request;
    const headers = request.headers;

    let url = 'https://example.com/';
    if (headers['cloudfront-viewer-country']) {
        const countryCode = headers['cloudfront-viewer-country'][0].value;
        if (countryCode === 'TW') {
            url = 'https://tw.example.com/';
        } else if (countryCode === 'US') {
            url = 'https://us.example.com/';
        }
    }
    return {
        status: '302',
        statusDescription: 'Found',
        headers: { location: [{ key: 'Location', value: url }] },
    };
};
