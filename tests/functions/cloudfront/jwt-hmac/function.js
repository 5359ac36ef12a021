import crypto from 'crypto';
import cf from 'cloudfront';

const kvs = cf.kvs();
const unauthorized = { statusCode: 401, statusDescription: 'Unauthorized', headers: { 'www-authenticate': { value: 'Bearer' } } };

function sameText(a, b) {
    if (a.length !== b.length) {
        return false;
    }
    let difference = 0;
    for (let i = 0; i < a.length; i++) {
        difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
    }
    return difference === 0;
}

function decoded(part) {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
}

function verified(token, key) {
    const parts = token.split('.');
    if (parts.length !== 3) {
        throw new Error('not three parts');
    }
    if (decoded(parts[0]).alg !== 'HS256') {
        throw new Error('another algorithm');
    }
    const signature = crypto.createHmac('sha256', key).update(parts[0] + '.' + parts[1]).digest('base64url');
    if (!sameText(signature, parts[2])) {
        throw new Error('bad signature');
    }
    const claims = decoded(parts[1]);
    if (claims.nbf && Date.now() < claims.nbf * 1000) {
        throw new Error('not yet');
    }
    if (claims.exp && Date.now() > claims.exp * 1000) {
        throw new Error('over');
    }
    return claims;
}

async function handler(event) {
    const request = event.request;
    const token = request.querystring.jwt ? request.querystring.jwt.value : '';
    if (!token) {
        console.log('no token');
        return unauthorized;
    }
    const key = await kvs.get('jwt.secret');
    try {
        const claims = verified(token, key);
        request.headers['x-user'] = { value: claims.sub };
    } catch (error) {
        console.log(error.message);
        return unauthorized;
    }
    delete request.querystring.jwt;
    return request;
}
