'use strict';

const querystring = require('querystring');

// A form is answered at the edge.
exports.handler = (event, context, callback) => {
    const request = event.Records[0].cf.request;

    if (request.method !== 'POST') {
        callback(null, request);
        return;
    }
    if (request.body.inputTruncated) {
        callback(null, { status: '413', statusDescription: 'Payload Too Large' });
        return;
    }
    const body = Buffer.from(request.body.data, 'base64').toString();
    const params = querystring.parse(body);
    const text = String(params.text ?? '').replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c]);
    callback(null, {
        status: '200',
        statusDescription: 'OK',
        headers: { 'content-type': [{ key: 'Content-Type', value: 'text/html; charset=utf-8' }] },
        body: `<!doctype html><p>You said: ${text}</p>\n`,
    });
};
