'use strict';

function parseCookies(headers) {
    const parsedCookie = {};
    for (const { value } of headers.cookie ?? []) {
        for (const cookie of value.split(';')) {
            const parts = cookie.split('=');
            parsedCookie[parts[0].trim()] = (parts[1] ?? '').trim();
        }
    }
    return parsedCookie;
}

exports.handler = (event, context, callback) => {
    const request = event.Records[0].cf.request;
    const headers = request.headers;

    if (request.uri !== '/experiment-pixel.jpg') {
        callback(null, request);
        return;
    }
    const cookies = parseCookies(headers);
    if (cookies['X-Experiment-Name'] === 'B') {
        request.uri = '/experiment-group/b-experiment-pixel.jpg';
    } else if (cookies['X-Experiment-Name'] === 'A') {
        request.uri = '/experiment-group/a-experiment-pixel.jpg';
    }
    callback(null, request);
};
