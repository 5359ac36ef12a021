import crypto from 'crypto';
import qs from 'querystring';

// A link that holds until a time: ?expires=…&sign=…, an HMAC of path and time.
const SECRET = 'not-a-real-secret';

function handler(event) {
    const request = event.request;
    const forbidden = (why) => ({
        statusCode: 403,
        statusDescription: 'Forbidden',
        headers: { 'content-type': { value: 'text/plain' }, 'x-why': { value: why } },
        body: { encoding: 'text', data: 'Forbidden\n' }
    });
    const expires = request.querystring.expires;
    const sign = request.querystring.sign;
    if (!expires || !sign || expires.multiValue || sign.multiValue) {
        return forbidden('unsigned');
    }
    if (!/^\d{1,12}$/.test(expires.value) || Number(expires.value) * 1000 < Date.now()) {
        return forbidden('expired');
    }
    const wanted = crypto.createHmac('sha256', SECRET).update(`${request.uri}:${expires.value}`).digest('hex');
    if (wanted !== qs.unescape(sign.value)) {
        return forbidden('signature');
    }
    request.querystring = {};
    return request;
}
