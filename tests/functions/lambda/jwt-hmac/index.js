'use strict';

const { createHmac, timingSafeEqual } = require('crypto');

const KEY = 'LzdWGpAToQ1DqYuzHxE6YOqi7G3X2yvNBot9mCXfx5k';

const denied = (why) => ({
    status: '401',
    statusDescription: 'Unauthorized',
    headers: {
        'www-authenticate': [{ key: 'WWW-Authenticate', value: `Bearer error="invalid_token", error_description="${why}"` }],
        'cache-control': [{ key: 'Cache-Control', value: 'no-store' }],
    },
});

exports.handler = async (event) => {
    const { request } = event.Records[0].cf;
    const token = request.headers.authorization?.[0]?.value.match(/^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/);
    if (!token) {
        return denied('no token');
    }
    const [, head, body, signature] = token;
    const wanted = createHmac('sha256', KEY).update(`${head}.${body}`).digest();
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
        return denied('signature');
    }
    const claims = JSON.parse(Buffer.from(body, 'base64url'));
    if (claims.exp * 1000 < Date.now()) {
        return denied('expired');
    }
    request.headers['x-user'] = [{ key: 'X-User', value: claims.sub }];
    return request;
};
