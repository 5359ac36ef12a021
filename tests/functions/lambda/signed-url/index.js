import { createHmac } from 'node:crypto';

const SECRET = 'not-a-real-secret';

export const handler = async (event) => {
    const request = event.Records[0].cf.request;
    const url = new URL(`https://x.invalid${request.uri}?${request.querystring}`);
    const signature = url.searchParams.get('sig');
    url.searchParams.delete('sig');
    url.searchParams.sort();
    const wanted = createHmac('sha1', SECRET).update(url.pathname + '?' + url.searchParams).digest('base64url');
    if (signature !== wanted) {
        return { status: '403', statusDescription: 'Forbidden', body: 'Forbidden\n' };
    }
    request.querystring = url.searchParams.toString();
    return request;
};
