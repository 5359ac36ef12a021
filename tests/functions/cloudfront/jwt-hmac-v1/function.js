var crypto = require('crypto');

// A token in the query, signed with HMAC SHA-256, as functions of the runtime 1.0 check it.
var response401 = { statusCode: 401, statusDescription: 'Unauthorized' };

function jwt_decode(token, key) {
    var segments = token.split('.');
    if (segments.length !== 3) {
        throw new Error('Not enough or too many segments');
    }
    var payload = JSON.parse(_base64urlDecode(segments[1]));
    var input = [segments[0], segments[1]].join('.');
    if (crypto.createHmac('sha256', key).update(input).digest('base64url') !== segments[2]) {
        throw new Error('Signature verification failed');
    }
    if (payload.exp && Date.now() > payload.exp * 1000) {
        throw new Error('Token expired');
    }
    return payload;
}

function _base64urlDecode(str) {
    return String.bytesFrom(str, 'base64url');
}

function handler(event) {
    var request = event.request;
    var key = 'LzdWGpAToQ1DqYuzHxE6YOqi7G3X2yvNBot9mCXfx5k';

    if (!request.querystring.jwt) {
        return response401;
    }
    try {
        jwt_decode(request.querystring.jwt.value, key);
    } catch (e) {
        return response401;
    }
    delete request.querystring.jwt;
    return request;
}
