'use strict';

/* The origin gets JSON where viewers send a form. */
exports.handler = async (event) => {
    const { request } = event.Records[0].cf;
    const type = request.headers['content-type']?.[0]?.value;
    if (request.method !== 'POST' || type !== 'application/x-www-form-urlencoded') {
        return request;
    }
    const form = new URLSearchParams(Buffer.from(request.body.data, 'base64').toString('utf8'));
    request.body.action = 'replace';
    request.body.encoding = 'text';
    request.body.data = JSON.stringify(Object.fromEntries(form));
    request.headers['content-type'] = [{ key: 'Content-Type', value: 'application/json' }];
    return request;
};
